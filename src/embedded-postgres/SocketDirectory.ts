import { chownSync, mkdtempSync, rmSync } from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isMissing, reasonOf, UnsafeFile } from "../platform/os/FileTrust.ts"
import * as PrivateFile from "../platform/os/PrivateFile.ts"
import { ClusterUnusable } from "./Cluster.ts"
import { type ConnectionFile, isSocket, type ServerAddress } from "./ConnectionFile.ts"
import type { DataLocation } from "./DataLocation.ts"

/** Bytes of `sun_path` in unix(7) without its NUL; 104 with it in macOS and the BSDs. */
const longestPath = process.platform === "linux" ? 107 : 103

export const socketPath = ({ host, port }: ServerAddress): string => Path.join(host, `.s.PGSQL.${port}`)

const fits = (directory: string): boolean =>
  Buffer.byteLength(socketPath({ host: directory, port: 65_535 })) <= longestPath

/** Root enters every directory, so the account that runs PostgreSQL owns it, and no third account may enter. */
const requirePrivate = (directory: string, place: DataLocation): void => {
  const owner = Option.getOrUndefined(Option.map(place.account, ({ uid }) => uid))
  PrivateFile.requireDirectory(directory, { closed: 0o077, mode: 0o700, owner })
}

const give = (directory: string, place: DataLocation): string => {
  if (Option.isSome(place.account)) chownSync(directory, place.account.value.uid, place.account.value.gid)
  return directory
}

/** A new directory in the temporary one: its name is not known before, so no other account can be first. */
const short = (place: DataLocation): string => {
  const prefix = Path.join(Os.tmpdir(), "gravitas-")
  return give(mkdtempSync(fits(`${prefix}123456`) ? prefix : "/tmp/gravitas-"), place)
}

/**
 * The directory of the home's socket, which no other account can enter: `<home>/postgres/socket`. Where that path is too long for a
 * socket it is a short one in the temporary directory, kept in connection.json, and a new one after the old was cleared away.
 */
export const find = (place: DataLocation, kept: ConnectionFile): Effect.Effect<string, ClusterUnusable> =>
  Effect.try({
    try: () => {
      const inside = Path.join(place.directory, "socket")
      if (fits(inside)) {
        if (PrivateFile.makeDirectory(inside, 0o700)) give(inside, place)
        requirePrivate(inside, place)
        return inside
      }
      // A copy of a home has the file of the original, whose server may run.
      if (kept.home !== place.home || !isSocket(kept)) return short(place)
      try {
        requirePrivate(kept.host, place)
        return kept.host
      } catch (cause) {
        if (cause instanceof UnsafeFile || isMissing(cause)) return short(place)
        throw cause
      }
    },
    catch: (cause) => new ClusterUnusable({ directory: place.data, reason: reasonOf(cause), log: [] })
  })

/** Removes a killed server's socket and lock: its pid may be another process's by now. No server may run on the data. */
export const clear = (address: ServerAddress): Effect.Effect<void> =>
  Effect.sync(() => {
    if (!isSocket(address)) return
    for (const path of [socketPath(address), `${socketPath(address)}.lock`]) rmSync(path, { force: true })
  })
