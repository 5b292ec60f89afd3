import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Schema from "effect/Schema"
import { locate } from "../build/Bundle.mjs"

const Names = Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.String }), { default: () => ({}) })

const Person = Schema.Union(Schema.String, Schema.Struct({ name: Schema.optional(Schema.String) }))

const Manifest = Schema.parseJson(
  Schema.Struct({
    name: Schema.String,
    version: Schema.String,
    description: Schema.optional(Schema.String),
    license: Schema.optional(Schema.String),
    author: Schema.optional(Person),
    homepage: Schema.optional(Schema.String),
    dependencies: Names,
    optionalDependencies: Names,
    peerDependencies: Names
  })
)

export type Manifest = typeof Manifest.Type

/** An npm package whose code is in a release. */
export interface RuntimePackage {
  /** Where it is installed. */
  readonly folder: string
  readonly manifest: Manifest
  /** The folders of those packages of the release that it may load. */
  readonly needs: ReadonlyArray<string>
}

export const manifestIn = (folder: string): Manifest =>
  Schema.decodeUnknownSync(Manifest)(Fs.readFileSync(Path.join(folder, "package.json"), "utf8"))

/** The packages of a folder's manifest, as Node finds them from there. */
export const neededBy = async (folder: string, manifest: Manifest): Promise<ReadonlyArray<string>> => {
  const { dependencies, optionalDependencies, peerDependencies } = manifest
  const names = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })
  const found = await Promise.all(names.map((name) => locate(name, folder)))
  return found.filter((one) => one !== undefined)
}

const nameOf = ({ manifest }: RuntimePackage): string => `${manifest.name}@${manifest.version}`

/** Reads the packages at `folders`. They are in the order of their names. */
export const runtimePackages = async (folders: ReadonlyArray<string>): Promise<ReadonlyArray<RuntimePackage>> => {
  const packages = await Promise.all(
    folders.map(async (folder) => {
      const manifest = manifestIn(folder)
      const needs = (await neededBy(folder, manifest)).filter((one) => folders.includes(one) && one !== folder)
      return { folder, manifest, needs }
    })
  )
  return packages.toSorted((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1))
}
