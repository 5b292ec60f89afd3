import { randomBytes } from "node:crypto"
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync
} from "node:fs"
import * as Path from "node:path"
import { bitsOfOthers, codeOf, isMissing, isOwnGroup, octal, ownUser, shellWord, UnsafeFile } from "./FileTrust.ts"

/*
 * The home, and the files in it. They are made and opened without following links, and used only if no other account can change
 * them, as ssh does. All of these functions throw `UnsafeFile`, or Node's error.
 */

interface Expectation {
  readonly owner?: number | undefined
  /** Bits that other accounts must not have: 0o022 to change it, 0o077 to read it too. */
  readonly closed: number
  /** The mode that the fix names. */
  readonly mode: number
}

const requireOwn = (path: string, stats: Stats, { closed, mode, owner = ownUser() }: Expectation): void => {
  if (owner === undefined) return
  if (stats.uid !== owner) {
    const problem = `belongs to the user ${stats.uid}, and this process runs as ${ownUser()}: run it as that user, or chown ${owner} ${shellWord(path)}`
    throw new UnsafeFile({ path, problem })
  }
  if ((bitsOfOthers(stats) & closed) !== 0) {
    const may = closed === 0o077 ? "read" : "write to"
    const problem = `is open to other users (mode ${octal(stats.mode)}), who must not ${may} it: chmod ${octal(mode).slice(1)} ${shellWord(path)}`
    throw new UnsafeFile({ path, problem })
  }
}

const make = (path: string, mode: number): boolean => {
  try {
    mkdirSync(path, { mode })
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false
    throw cause
  }
  // Whatever the umask is.
  chmodSync(path, mode)
  return true
}

/**
 * Makes a directory, and what is missing above it, one by one: a recursive mkdir of Node says ENOENT on a read-only disk. Returns
 * false if it exists.
 */
export const makeDirectory = (path: string, mode: number): boolean => {
  try {
    return make(path, mode)
  } catch (cause) {
    if (!isMissing(cause) || Path.dirname(path) === path) throw cause
    makeDirectory(Path.dirname(path), mode)
    return make(path, mode)
  }
}

/** As root, the embedded PostgreSQL in the home runs as another account, which must be able to enter it. */
const homeMode = () => (ownUser() === 0 ? 0o711 : 0o700)

/**
 * Makes the home unless it exists, and refuses one that another account can change. It may be a link of root or of this user: systemd
 * makes one with DynamicUser. A directory of root is a home only if root gave it to a group of this user alone, as Kubernetes does
 * with a volume.
 */
export const ensureHome = (home: string): void => {
  makeDirectory(home, homeMode())
  const [link, stats] = [lstatSync(home), statSync(home)]
  if (!stats.isDirectory()) throw new UnsafeFile({ path: home, problem: "is not a directory" })
  const mode = existsSync(Path.join(home, "postgres")) ? homeMode() : 0o700
  if (link.isSymbolicLink() && link.uid !== 0) requireOwn(home, link, { closed: 0, mode })
  const isVolume = stats.uid === 0 && (stats.mode & 0o020) !== 0 && isOwnGroup(stats.gid)
  requireOwn(home, stats, { closed: 0o022, mode, owner: isVolume ? 0 : ownUser() })
}

/** Makes a directory in a private one, unless it exists, and refuses one that is a link or that another account can change. */
export const ensureDirectory = (path: string, mode = 0o700): void => {
  makeDirectory(path, mode)
  requireDirectory(path, { closed: 0o022, mode })
}

/** Refuses what is not a directory of the owner, of this process by default. */
export const requireDirectory = (path: string, expected: Expectation): void => {
  const stats = lstatSync(path)
  if (!stats.isDirectory()) throw new UnsafeFile({ path, problem: "is not a directory: move it away" })
  requireOwn(path, stats, expected)
}

/** Follows no link, and does not wait for the other end of a pipe that was put there. Windows has neither. */
export const guarded = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/**
 * Opens a file, or makes it with the mode 0600. `closed` are the bits that other accounts must not have: by default the file must be
 * theirs neither to read nor to write.
 */
export const open = (path: string, flags: number, closed = 0o077): number => {
  const fd = (() => {
    try {
      return openSync(path, flags | guarded, 0o600)
    } catch (cause) {
      if (codeOf(cause) !== "ELOOP") throw cause
      throw new UnsafeFile({ path, problem: "is a symbolic link, which is not followed: put the file itself there" })
    }
  })()
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile()) throw new UnsafeFile({ path, problem: "is not a file: move it away" })
    requireOwn(path, stats, { closed, mode: 0o600 })
    return fd
  } catch (cause) {
    closeSync(fd)
    throw cause
  }
}

/** Reads a secret. Undefined if there is no such file. */
export const read = (path: string, closed?: number): string | undefined => {
  try {
    const fd = open(path, constants.O_RDONLY, closed)
    try {
      return readFileSync(fd, "utf8")
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

/** Writes a draft beside the file, synced to the disk, and puts it in its place. */
const place = (path: string, text: string, put: (draft: string, path: string) => void): void => {
  const draft = `${path}.${randomBytes(6).toString("hex")}`
  const fd = openSync(draft, "wx", 0o600)
  try {
    try {
      writeFileSync(fd, text)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    put(draft, path)
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Replaces the file, or makes it, with the mode 0600. A reader sees the old text or the new one. */
export const replace = (path: string, text: string): void => place(path, text, renameSync)

/** Makes the file with the mode 0600, unless it exists. Processes that start at once agree on one text: the first link wins. */
export const makeOnce = (path: string, text: string): void =>
  place(path, text, (draft) => {
    try {
      linkSync(draft, path)
    } catch (cause) {
      if (codeOf(cause) !== "EEXIST") throw cause
    }
  })
