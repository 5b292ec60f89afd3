import { inexactLiterals } from "../../domain/JsonText.ts"
import { maskedText } from "../../domain/Secrets.ts"
import { boundText } from "./BoundedText.ts"

/** The bounds of an encoded value. */
export interface Budget {
  /** Levels of nested objects and arrays, the outermost included. */
  readonly depth: number
  /** Members of all objects and elements of all arrays, in total. */
  readonly members: number
  /** Approximate characters of the encoded text. */
  readonly size: number
  /** Code points of a key. */
  readonly key: number
}

/** Why the encoded value is incomplete. */
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
  | "reserved"
  | "masked"
  | "number-as-text"

/** What an encoding does with members, by their names. */
export interface MemberRules {
  /** Left out of the outermost object. */
  readonly reserved: ReadonlySet<string>
  /** Members of the outermost object beside those of the value. */
  readonly facts: object
  /** A member of the outermost object that does not count; `json` needs no escapes. */
  readonly uncounted: { readonly key: string; readonly json: string } | undefined
  /** Whether the value of a member, at any depth, is replaced by a mask. */
  readonly isSecret: (key: string) => boolean
}

const noRules: MemberRules = { reserved: new Set(), facts: {}, uncounted: undefined, isSecret: () => false }

export interface Encoded {
  readonly json: string
  readonly blemishes: ReadonlySet<Blemish>
}

const none: ReadonlySet<Blemish> = new Set()

interface Member {
  readonly key: string
  /** The key in the value. */
  readonly original: string
  /** Of a fact. */
  readonly json?: string
}

/** RFC 8785, section 3.2.3: by UTF-16 code units, which is how JavaScript compares strings. */
const byCodeUnit = (a: Member, b: Member): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)

/** The state of one encoding: the remaining budget, the enclosing objects, and the blemishes. */
class Walk {
  private membersLeft: number
  private sizeLeft: number
  private readonly above: Array<object> = []
  blemishes: Set<Blemish> | undefined

  constructor(
    private readonly budget: Budget,
    private readonly rules: MemberRules
  ) {
    this.membersLeft = budget.members
    this.sizeLeft = budget.size
  }

  private blemish(kind: Blemish): void {
    this.blemishes ??= new Set()
    this.blemishes.add(kind)
  }

  /** A string in the place of a value, so that readers see it there. */
  private placeholder(kind: Blemish, what: string): string {
    this.blemish(kind)
    return this.spend(`"[${what}]"`)
  }

  private spend(json: string): string {
    this.sizeLeft -= json.length
    return json
  }

  /** An escaped character counts as six. */
  private string(given: string): string {
    const room = Math.max(this.sizeLeft, 0)
    const bounded = boundText(given, room)
    const json = JSON.stringify(bounded.text)
    const fits = json.length - 2 <= room
    if (bounded.truncated || !fits) this.blemish("size")
    if (bounded.cleaned) this.blemish("cleaned")
    return this.spend(fits ? json : JSON.stringify(boundText(bounded.text, Math.floor(room / 6)).text))
  }

  /** Returns undefined for values that JSON leaves out. */
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
        return this.placeholder("converted", typeof given)
      case "object":
        return given === null ? this.spend("null") : this.compound(given)
    }
  }

  /** Getters, proxy traps and toJSON are foreign code: exceptions that they throw are caught here. */
  private compound(given: object): string {
    if (this.above.length >= this.budget.depth) return this.placeholder("depth", "too deep")
    if (this.above.includes(given)) return this.placeholder("cycle", "cycle")
    this.above.push(given)
    try {
      if (ArrayBuffer.isView(given)) return this.placeholder("converted", `${given.byteLength} bytes`)
      const toJson: unknown = "toJSON" in given ? given.toJSON : undefined
      if (typeof toJson === "function") {
        const stated: unknown = toJson.call(given, "")
        if (typeof stated !== "object" || stated === null) return this.value(stated) ?? this.spend("null")
        return Array.isArray(stated) ? this.array(stated) : this.object(stated)
      }
      return Array.isArray(given) ? this.array(given) : this.object(given)
    } catch {
      return this.placeholder("unreadable", "unreadable")
    } finally {
      this.above.pop()
    }
  }

  private array(given: ReadonlyArray<unknown>): string {
    let json = "["
    const length = given.length
    const literals = inexactLiterals(given)
    for (let index = 0; index < length; index++) {
      if (!this.roomForOneMore()) break
      const literal = literals?.get(String(index))
      const element = this.member(() => given[index], literal) ?? this.spend("null")
      json += index === 0 ? element : `,${element}`
    }
    return `${json}]`
  }

  private object(given: object): string {
    let json = "{"
    let previous: string | undefined
    const literals = inexactLiterals(given)
    const isOutermost = this.above.length === 1
    let uncounted = isOutermost ? this.rules.uncounted : undefined
    for (const { json: stated, key, original } of this.keys(given, isOutermost)) {
      if (uncounted !== undefined && key >= uncounted.key) {
        json += `${previous === undefined ? "" : ","}"${uncounted.key}":${uncounted.json}`
        previous = uncounted.key
        uncounted = undefined
      }
      if (key === previous) {
        this.blemish("key-clash")
        continue
      }
      // Facts may follow, which have their room.
      if (stated === undefined && !this.roomForOneMore()) continue
      const value = stated ?? this.named(key, () => Reflect.get(given, original), literals?.get(original))
      if (value === undefined) continue
      json += `${previous === undefined ? "" : ","}${this.spend(JSON.stringify(key))}:${value}`
      previous = key
    }
    if (uncounted !== undefined) json += `${previous === undefined ? "" : ","}"${uncounted.key}":${uncounted.json}`
    return `${json}}`
  }

  private named(key: string, read: () => unknown, literal?: string): string | undefined {
    if (!this.rules.isSecret(key)) return this.member(read, literal)
    this.blemish("masked")
    return this.spend(JSON.stringify(maskedText))
  }

  /** Encodes the facts, in their order and before all others, so that no value of a caller leaves them without room. */
  private facts(): Array<Member> {
    const facts: Array<Member> = []
    for (const [key, value] of Object.entries(this.rules.facts)) {
      const json = this.roomForOneMore() ? this.named(key, () => value) : undefined
      if (json !== undefined) facts.push({ key, original: key, json })
    }
    return facts
  }

  /** Returns the own enumerable string keys as they will be written, sorted, up to the remaining budget; with the facts, if any. */
  private keys(given: object, isOutermost: boolean): Array<Member> {
    const keys = isOutermost ? this.facts() : []
    for (const original of Object.keys(given)) {
      if (keys.length >= this.membersLeft) {
        this.blemish("members")
        break
      }
      const bounded = boundText(original, this.budget.key)
      if (bounded.truncated) this.blemish("key-truncated")
      if (bounded.cleaned) this.blemish("cleaned")
      if (isOutermost && this.rules.reserved.has(bounded.text)) this.blemish("reserved")
      else keys.push({ key: bounded.text, original })
    }
    return keys.sort(byCodeUnit)
  }

  /** `literal` is that of a number that a double does not hold. */
  private member(read: () => unknown, literal?: string): string | undefined {
    if (literal !== undefined) {
      this.blemish("number-as-text")
      return this.string(literal)
    }
    let given: unknown
    try {
      given = read()
    } catch {
      return this.placeholder("unreadable", "unreadable")
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

/** Printing a bigint of a million digits takes seconds; one of up to 1024 bits takes almost no time. */
const bigintText = (given: bigint): string => {
  const small = BigInt.asIntN(1_024, given)
  return small === given ? given.toString() : "[big integer]"
}

/**
 * Encodes any JavaScript value as canonical JSON (RFC 8785), within a budget. Never throws. Time and memory depend on the budget,
 * not on the value, except for key lists, which the engine always builds completely. Undefined becomes null.
 */
export const encodeCanonical = (given: unknown, budget: Budget, rules: MemberRules = noRules): Encoded => {
  const walk = new Walk(budget, rules)
  const json = walk.value(given) ?? "null"
  return { json, blemishes: walk.blemishes ?? none }
}
