import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import * as Fs from "node:fs/promises"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { commandFor, project } from "./Program.ts"
import { temporaryHome } from "./TemporaryHome.ts"

const run = promisify(execFile)

const Dependencies = Schema.Record({ key: Schema.String, value: Schema.String })
const Manifest = Schema.parseJson(Schema.Struct({ dependencies: Schema.optional(Dependencies) }))

/** Copies an installed package and its dependencies side by side below `modules`. Packages that are absent are left out. */
const copyPackage = async (name: string, importer: string, modules: string): Promise<void> => {
  const target = Path.join(modules, name)
  const source = (createRequire(importer).resolve.paths(name) ?? [])
    .map((directory) => Path.join(directory, name))
    .find((directory) => existsSync(directory))
  if (source === undefined || existsSync(target)) return
  await Fs.cp(await Fs.realpath(source), target, { recursive: true })
  const manifest = await Fs.realpath(Path.join(source, "package.json"))
  const { dependencies = {} } = Schema.decodeSync(Manifest)(await Fs.readFile(manifest, "utf8"))
  for (const dependency of Object.keys(dependencies)) await copyPackage(dependency, manifest, modules)
}

/** True if every user may enter all directories above the file. */
const isReachable = async (file: string): Promise<boolean> => {
  const parent = Path.dirname(file)
  if (parent === file) return true
  return ((await Fs.stat(parent)).mode & 0o001) !== 0 && isReachable(parent)
}

const copyProgram = async (program: string, packages: ReadonlyArray<string>, directory: string): Promise<string> => {
  const bundle = Path.dirname(program)
  const modules = Path.join(directory, "node_modules")
  await Fs.mkdir(modules)
  for (const file of (await Fs.readdir(bundle)).filter((name) => name.endsWith(".mjs"))) {
    await Fs.copyFile(Path.join(bundle, file), Path.join(directory, file))
  }
  for (const name of packages) await copyPackage(name, Path.join(project, "package.json"), modules)
  return Path.join(directory, Path.basename(program))
}

/**
 * The command that runs a bundled program as any user of this machine.
 *
 * Root's checkout, its packages and its Node may lie below a folder that other users cannot enter, for example `/root`. So the
 * bundle and the `packages` that it loads at run time are copied to a temporary directory.
 */
export const readableCommandFor = (source: string, packages: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const directory = yield* temporaryHome
    return yield* Effect.promise(async () => {
      const program = await copyProgram(commandFor(source).at(-1) ?? "", packages, directory)
      const own = await Fs.realpath(process.execPath)
      const node = (await isReachable(own)) ? own : Path.join(directory, "node")
      if (node !== own) await Fs.copyFile(own, node)
      await run("chmod", ["-R", "a+rX", directory])
      return [node, program] as const
    })
  })
