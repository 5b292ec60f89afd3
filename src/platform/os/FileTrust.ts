import { readFileSync, type Stats } from "node:fs"
import * as Schema from "effect/Schema"

/** A file or directory that another account can read or change, or that is not what it must be. */
export class UnsafeFile extends Schema.TaggedError<UnsafeFile>()("UnsafeFile", {
  path: Schema.String,
  /** Completes a sentence that begins with the path, and names the fix. */
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.path} ${this.problem}`
  }
}

/** Node's code of an error, such as ENOENT. */
export const codeOf = (cause: unknown): unknown => (cause instanceof Error && "code" in cause ? cause.code : undefined)

export const isMissing = (cause: unknown): boolean => codeOf(cause) === "ENOENT"

export const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** The user of this process. Undefined on Windows: access lists guard a user's profile there, and modes say nothing. */
export const ownUser = (): number | undefined => process.getuid?.()

const fieldsOf = (file: string): ReadonlyArray<ReadonlyArray<string>> => {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .map((line) => line.split(":"))
  } catch {
    return []
  }
}

/** Sources of accounts (nsswitch.conf(5)) that are the files of /etc, or that add users of systemd alone. */
const localSources = /^\s*(files|compat|altfiles|systemd|\[[^\]]*\]|\s)*$/

/**
 * Whether no other account has the group. It is so for a user's own group, which a umask of 002 lets write, and for the group that
 * Kubernetes gives to a volume (`fsGroup`), which rewrites the modes of all files. Unknown where a directory service adds accounts.
 * Root's own group has no such use.
 */
const hasNoOthers = (gid: number): boolean => {
  const isOurs = process.getgid?.() === gid || process.getgroups?.().includes(gid) === true
  if (process.platform !== "linux" || gid === 0 || !isOurs) return false
  const sources = fieldsOf("/etc/nsswitch.conf").filter(([name]) => name === "passwd" || name === "group")
  if (!sources.every(([, list = ""]) => localSources.test(list.replace(/#.*/, "")))) return false
  const accounts = fieldsOf("/etc/passwd")
  const trusted = accounts.flatMap(([name = "", , uid]) => (uid === "0" || uid === String(ownUser()) ? [name] : []))
  const members = [
    ...accounts.flatMap(([name = "", , , group]) => (group === String(gid) ? [name] : [])),
    ...fieldsOf("/etc/group").flatMap(([, , group, names = ""]) => (group === String(gid) ? names.split(",") : []))
  ]
  return members.every((name) => name === "" || trusted.includes(name))
}

const known = new Map<number, boolean>()

/** Whether this account alone has the group. */
export const isOwnGroup = (gid: number): boolean => {
  const found = known.get(gid) ?? hasNoOthers(gid)
  known.set(gid, found)
  return found
}

/** The bits of a mode that other accounts have. */
export const bitsOfOthers = ({ gid, mode }: Pick<Stats, "gid" | "mode">): number =>
  mode & (isOwnGroup(gid) ? 0o007 : 0o077)

export const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, "0")

/** As a word of a shell, for commands that a person pastes. */
export const shellWord = (path: string): string =>
  /^[\w./@+:=-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
