import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Schema from "effect/Schema"

const Node = Schema.Struct({
  id: Schema.Number,
  callFrame: Schema.Struct({ functionName: Schema.String, url: Schema.String, lineNumber: Schema.Number })
})

const Profile = Schema.Struct({
  nodes: Schema.Array(Node),
  samples: Schema.Array(Schema.Number),
  timeDeltas: Schema.Array(Schema.Number)
})

const decode = Schema.decodeUnknownSync(Schema.parseJson(Profile))

export interface Share {
  readonly name: string
  /** Of the time in which the processor worked. */
  readonly share: number
}

export interface ProfileReport {
  readonly packages: ReadonlyArray<Share>
  readonly functions: ReadonlyArray<Share>
}

/** The line of a bundle at which a module begins, and the module's path. */
interface ModuleStart {
  readonly line: number
  readonly path: string
}

/** What the comments of esbuild say of a bundle's modules, in their order; empty for a file that is not one. */
const modulesIn = (file: string): ReadonlyArray<ModuleStart> =>
  Fs.readFileSync(file, "utf8")
    .split("\n")
    .flatMap((text, line) =>
      /^\s*\/\/ (src|node_modules|scripts|test)\/\S+$/.test(text) ? [{ line, path: text.trim().slice(3) }] : []
    )

/** Names the module of a frame: its file, or in a bundle the module whose code is at its line. */
const moduleNames = () => {
  const bundles = new Map<string, ReadonlyArray<ModuleStart>>()
  return ({ lineNumber, url }: typeof Node.Type.callFrame): string => {
    if (!url.endsWith(".mjs") || url.includes("/node_modules/")) return url
    const modules = bundles.get(url) ?? modulesIn(fileURLToPath(url))
    bundles.set(url, modules)
    const found = modules.findLast(({ line }) => line <= lineNumber)
    return found === undefined ? url : `/${found.path}`
  }
}

/** `effect`, `@effect/platform`, `src/audit`, `node:http`; or what the engine does itself: `(garbage collector)`. */
const packageOf = (frame: typeof Node.Type.callFrame, module: string): string => {
  if (frame.url === "") return frame.functionName.startsWith("(") ? frame.functionName : "(native)"
  if (frame.url.startsWith("node:")) return frame.url.split("/").slice(0, 2).join("/")
  const [, inside] = module.split(/node_modules\/(?!\.pnpm)/)
  if (inside !== undefined) {
    const [scope = "", name = ""] = inside.split("/")
    return scope.startsWith("@") ? `${scope}/${name}` : scope
  }
  const [, own] = module.split("/src/")
  return own === undefined ? "scripts" : `src/${own.split("/").slice(0, -1).join("/")}`
}

const shares = (times: ReadonlyMap<string, number>, total: number, count: number): ReadonlyArray<Share> =>
  [...times]
    .map(([name, time]) => ({ name, share: time / total }))
    .toSorted((a, b) => b.share - a.share)
    .slice(0, count)

/** V8's largest profile in `directory`: the others are of threads that load modules. */
export const profileFile = (directory: string): string => {
  const [file] = Fs.readdirSync(directory)
    .map((name) => Path.join(directory, name))
    .toSorted((a, b) => Fs.statSync(b).size - Fs.statSync(a).size)
  if (file === undefined) throw new Error(`no profile in ${directory}`)
  return file
}

/** Sums the self times of a profile, by the packages with most of it. The program that it is of must still be there. */
export const readProfile = (file: string, mostPackages = 20): ProfileReport => {
  const moduleOf = moduleNames()
  const { nodes, samples, timeDeltas } = decode(Fs.readFileSync(file, "utf8"))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const packages = new Map<string, number>()
  const functions = new Map<string, number>()
  let total = 0
  samples.forEach((id, index) => {
    const frame = byId.get(id)?.callFrame
    const time = timeDeltas[index] ?? 0
    if (frame === undefined || frame.functionName === "(idle)" || frame.functionName === "(program)") return
    total += time
    const name = packageOf(frame, moduleOf(frame))
    packages.set(name, (packages.get(name) ?? 0) + time)
    const place = `${frame.functionName || "(anonymous)"} ${name}:${frame.lineNumber + 1}`
    functions.set(place, (functions.get(place) ?? 0) + time)
  })
  return { packages: shares(packages, total, mostPackages), functions: shares(functions, total, 30) }
}
