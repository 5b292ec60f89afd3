import { boundText } from "./BoundedText.ts"

/** What of a value the encoding keeps. */
export interface Budget {
  /** Objects and arrays within each other; the outermost counts. */
  readonly depth: number
  /** Members of all objects and elements of all arrays together. */
  readonly members: number
  /** Characters of the encoded text, about. */
  readonly size: number
  /** Code points of a key. */
  readonly key: number
}

/** Why the encoded value is not the whole of what was given. */
export type Blemish =
  | "depth"
  | "members"
  | "size"
  | "cycle"
  | "cleaned"
  | "converted"
  | "unreadable"
  | "key-truncated"
  | "key-clash"

/** A member that the outermost object has whatever was given, in the place of one of the same name; `json` needs no escape. */
export interface Reserved {
  readonly key: string
  readonly json: string
}

export interface Encoded {
  readonly json: string
  readonly blemishes: ReadonlySet<Blemish>
}

const none: ReadonlySet<Blemish> = new Set()

/** Placeholders are strings, so that a reader sees them where the value was. */
const placeholder = (what: string): string => `"[${what}]"`

/** RFC 8785, section 3.2.3: by UTF-16 code units, which is how JavaScript compares strings. */
const byCodeUnit = (a: readonly [string, unknown], b: readonly [string, unknown]): number =>
  a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0

/** One encoding: the budget that is left, the objects above the current one, and what was found. */
class Walk {
  private membersLeft: number
  private sizeLeft: number
  private readonly above: Array<object> = []
  blemishes: Set<Blemish> | undefined

  constructor(
    private readonly budget: Budget,
    private readonly reserved: Reserved | undefined
  ) {
    this.membersLeft = budget.members
    this.sizeLeft = budget.size
  }

  private blemish(kind: Blemish): void {
    this.blemishes ??= new Set()
    this.blemishes.add(kind)
  }

  private spend(json: string): string {
    this.sizeLeft -= json.length
    return json
  }

  /** A character that has to be escaped counts as the six that it becomes. */
  private string(given: string): string {
    const room = Math.max(this.sizeLeft, 0)
    const bounded = boundText(given, room)
    const json = JSON.stringify(bounded.text)
    const fits = json.length - 2 <= room
    if (bounded.truncated || !fits) this.blemish("size")
    if (bounded.cleaned) this.blemish("cleaned")
    return this.spend(fits ? json : JSON.stringify(boundText(bounded.text, Math.floor(room / 6)).text))
  }

  /** Undefined for what JSON leaves out. */
  value(given: unknown): string | undefined {
    switch (typeof given) {
      case "string":
        return this.string(given)
      case "boolean":
        return this.spend(given ? "true" : "false")
      case "number":
        if (Number.isFinite(given)) return this.spend(JSON.stringify(given))
        this.blemish("converted")
        return this.string(String(given))
      case "bigint":
        this.blemish("converted")
        return this.string(bigintText(given))
      case "undefined":
        return undefined
      case "function":
      case "symbol":
        this.blemish("converted")
        return this.spend(placeholder(typeof given))
      case "object":
        return given === null ? this.spend("null") : this.compound(given)
    }
  }

  /** A getter, a trap of a proxy and toJSON are foreign code: whatever they throw stays in here. */
  private compound(given: object): string {
    if (this.above.length >= this.budget.depth) {
      this.blemish("depth")
      return this.spend(placeholder("too deep"))
    }
    if (this.above.includes(given)) {
      this.blemish("cycle")
      return this.spend(placeholder("cycle"))
    }
    this.above.push(given)
    try {
      if (ArrayBuffer.isView(given)) {
        this.blemish("converted")
        return this.spend(placeholder(`${given.byteLength} bytes`))
      }
      const toJson: unknown = "toJSON" in given ? given.toJSON : undefined
      if (typeof toJson === "function") {
        const stated: unknown = toJson.call(given, "")
        if (typeof stated !== "object" || stated === null) return this.value(stated) ?? this.spend("null")
        return Array.isArray(stated) ? this.array(stated) : this.object(stated)
      }
      return Array.isArray(given) ? this.array(given) : this.object(given)
    } catch {
      this.blemish("unreadable")
      return this.spend(placeholder("unreadable"))
    } finally {
      this.above.pop()
    }
  }

  private array(given: ReadonlyArray<unknown>): string {
    let json = "["
    const length = given.length
    for (let index = 0; index < length; index++) {
      if (!this.roomForOneMore()) break
      const element = this.member(() => given[index]) ?? this.spend("null")
      json += index === 0 ? element : `,${element}`
    }
    return `${json}]`
  }

  private object(given: object): string {
    let json = "{"
    let previous: string | undefined
    let reserved = this.above.length === 1 ? this.reserved : undefined
    for (const [key, original] of this.keys(given)) {
      if (reserved !== undefined && key >= reserved.key) {
        json += `${previous === undefined ? "" : ","}"${reserved.key}":${reserved.json}`
        previous = reserved.key
        reserved = undefined
      }
      if (key === previous) {
        this.blemish("key-clash")
        continue
      }
      if (!this.roomForOneMore()) break
      const value = this.member(() => Reflect.get(given, original))
      if (value === undefined) continue
      json += `${previous === undefined ? "" : ","}${this.spend(JSON.stringify(key))}:${value}`
      previous = key
    }
    if (reserved !== undefined) json += `${previous === undefined ? "" : ","}"${reserved.key}":${reserved.json}`
    return `${json}}`
  }

  /** The own enumerable string keys as they will stand, sorted, no more than the budget has room for. */
  private keys(given: object): Array<readonly [key: string, original: string]> {
    const keys: Array<readonly [string, string]> = []
    for (const original of Object.keys(given)) {
      if (keys.length >= this.membersLeft) {
        this.blemish("members")
        break
      }
      const bounded = boundText(original, this.budget.key)
      if (bounded.truncated) this.blemish("key-truncated")
      if (bounded.cleaned) this.blemish("cleaned")
      keys.push([bounded.text, original])
    }
    return keys.sort(byCodeUnit)
  }

  private member(read: () => unknown): string | undefined {
    let given: unknown
    try {
      given = read()
    } catch {
      this.blemish("unreadable")
      return this.spend(placeholder("unreadable"))
    }
    return this.value(given)
  }

  private roomForOneMore(): boolean {
    if (this.membersLeft <= 0) {
      this.blemish("members")
      return false
    }
    if (this.sizeLeft <= 0) {
      this.blemish("size")
      return false
    }
    this.membersLeft -= 1
    return true
  }
}

/** Printing a number of a million digits takes seconds; one of up to 1024 bits takes nothing. */
const bigintText = (given: bigint): string => {
  const small = BigInt.asIntN(1_024, given)
  return small === given ? given.toString() : "[big integer]"
}

/**
 * Canonical JSON (RFC 8785) of any JavaScript value, within a budget. Never throws; takes time and memory in proportion to
 * the budget, not to the value (its key lists aside, which the engine makes whole). Undefined becomes null. A `reserved` member
 * costs none of the budget.
 */
export const encodeCanonical = (given: unknown, budget: Budget, reserved?: Reserved): Encoded => {
  const walk = new Walk(budget, reserved)
  const json = walk.value(given) ?? "null"
  return { json, blemishes: walk.blemishes ?? none }
}
