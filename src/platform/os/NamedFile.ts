import type { Stats } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { bitsOfOthers, octal, ownUser, shellWord, UnsafeFile } from "./FileTrust.ts"

/*
 * Files that a setting names: they may be links, as the files of a Kubernetes secret are, but no other account can change what is
 * read. Each directory and link on the way is checked, since who may rename one of them chooses the file.
 */

/** The owner of this code may change what it does in any case: a container often runs root on the checkout of a user. */
const ownerOfCode = Fs.stat(fileURLToPath(import.meta.url)).then(
  ({ uid }) => uid,
  () => undefined
)

const requireTrusted = async (path: string, stats: Stats): Promise<void> => {
  const trusted = [0, ownUser(), await ownerOfCode]
  if (!trusted.includes(stats.uid)) {
    const problem = `belongs to the user ${stats.uid}, who may change it: chown ${ownUser()} ${shellWord(path)}`
    throw new UnsafeFile({ path, problem })
  }
  // In a sticky directory, such as /tmp, other users cannot rename what is not theirs.
  const isSticky = stats.isDirectory() && (stats.mode & 0o1000) !== 0
  if (stats.isSymbolicLink() || isSticky || (bitsOfOthers(stats) & 0o022) === 0) return
  const problem = `may be changed by other users (mode ${octal(stats.mode)}): chmod go-w ${shellWord(path)}`
  throw new UnsafeFile({ path, problem })
}

/** As Linux does. */
const mostLinks = 40

/**
 * Follows the way to a file link by link. Rejects with `UnsafeFile` where another account could change the file or the way, and with
 * Node's error where it does not lead to a file.
 */
export const requireTrustedWay = async (file: string): Promise<void> => {
  // A missing file is missing, wherever it would be.
  await Fs.access(file)
  if (ownUser() === undefined) return
  const { root } = Path.parse(Path.resolve(file))
  let links = 0
  let at = root
  const rest = Path.resolve(file).slice(root.length).split(Path.sep)
  await requireTrusted(root, await Fs.lstat(root))
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const next = Path.join(at, name)
    const stats = await Fs.lstat(next)
    await requireTrusted(next, stats)
    if (!stats.isSymbolicLink()) {
      at = next
      continue
    }
    links += 1
    if (links > mostLinks) throw new UnsafeFile({ path: file, problem: "leads through too many links" })
    const target = await Fs.readlink(next)
    if (Path.isAbsolute(target)) at = root
    rest.unshift(...target.split(Path.sep).filter((part) => part !== ""))
  }
}
