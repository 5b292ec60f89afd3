import { endOfString } from "../../domain/JsonText.ts"

/** What JSON.stringify may escape. Texts without it, nearly all, are between their quotes as they are. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const escapable = /[\\\u0000-\u001f\ud800-\udfff]/

/** Parses a text; undefined when it is not JSON. */
export const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const unmarked: ReadonlyArray<string> = []

/** Reads a canonical text from left to right. Where it is not canonical, `isCanonical` becomes false, and values mean nothing. */
export class CanonicalReader {
  private at = 0
  isCanonical = true

  constructor(private readonly json: string) {}

  private fail(): string {
    this.isCanonical = false
    return ""
  }

  private has(literal: string): boolean {
    if (!this.json.startsWith(literal, this.at)) return false
    this.at += literal.length
    return true
  }

  /** Passes a text that has to be here. */
  pass(literal: string): void {
    if (!this.has(literal)) this.fail()
  }

  string(): string {
    const { at, json } = this
    if (json.charCodeAt(at) !== 0x22) return this.fail()
    const end = endOfString(json, at)
    if (end === -1) return this.fail()
    this.at = end + 1
    const plain = json.slice(at + 1, end)
    if (!escapable.test(plain)) return plain
    const token = json.slice(at, end + 1)
    const value = parsed(token)
    return typeof value === "string" && JSON.stringify(value) === token ? value : this.fail()
  }

  text(): string | null {
    return this.has("null") ? null : this.string()
  }

  /** Passes the text up to a position. */
  upTo(end: number): string {
    if (end < this.at) return this.fail()
    const passed = this.json.slice(this.at, end)
    this.at = end
    return passed
  }

  /** Passes a whole number above 0. */
  count(): number {
    const digits = this.upTo(this.json.indexOf(",", this.at))
    const value = Number(digits)
    if (!Number.isSafeInteger(value) || value <= 0 || String(value) !== digits) this.fail()
    return value
  }

  strings(): ReadonlyArray<string> {
    if (this.has("[]")) return unmarked
    this.pass("[")
    const all = [this.string()]
    while (this.isCanonical && this.has(",")) all.push(this.string())
    this.pass("]")
    return all
  }

  /** Passes a literal if it is here, and says whether it was. */
  passed(literal: string): boolean {
    return this.isCanonical && this.has(literal)
  }

  /** Passes an object without reading it; the caller parses it. */
  object(): string {
    const { at, json } = this
    if (json.charCodeAt(at) !== 0x7b) return this.fail()
    let depth = 0
    for (let index = at; index < json.length; index++) {
      const unit = json.charCodeAt(index)
      if (unit === 0x22) {
        index = endOfString(json, index)
        if (index === -1) return this.fail()
      } else if (unit === 0x7b) depth += 1
      else if (unit === 0x7d) {
        depth -= 1
        if (depth === 0) return this.upTo(index + 1)
      }
    }
    return this.fail()
  }

  end(): void {
    if (this.at !== this.json.length) this.fail()
  }
}
