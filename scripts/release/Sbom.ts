import { createHash } from "node:crypto"
import { Contrib, Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library"
import type { Manifest, RuntimePackage } from "./RuntimePackage.ts"

/** What a bill of materials is of. */
export interface Release {
  readonly manifest: Manifest
  /** Folders of the packages that the program itself imports. */
  readonly needs: ReadonlyArray<string>
  readonly date: Date
}

export const bomVersion = Spec.Version.v1dot6

/** The package URL (purl) of an npm package. */
const purlOf = ({ name, version }: Manifest): string =>
  `pkg:npm/${name.split("/").map(encodeURIComponent).join("/")}@${encodeURIComponent(version)}`

const licences = new Contrib.License.Factories.LicenseFactory((expression) => {
  throw new RangeError(`${expression} is an expression of licences: parse it by a library`)
})

const componentOf = (manifest: Manifest, type: Enums.ComponentType): Models.Component => {
  const [name = "", group] = manifest.name.split("/").toReversed()
  const purl = purlOf(manifest)
  const component = new Models.Component(type, name, {
    bomRef: purl,
    purl,
    version: manifest.version,
    ...(group === undefined ? {} : { group }),
    ...(manifest.description === undefined ? {} : { description: manifest.description })
  })
  if (manifest.license !== undefined) component.licenses.add(licences.makeDisjunctive(manifest.license))
  if (manifest.homepage !== undefined) {
    component.externalReferences.add(
      new Models.ExternalReference(manifest.homepage, Enums.ExternalReferenceType.Website)
    )
  }
  return component
}

/** A UUID (RFC 9562, version 8) of a text: the same release has the same serial number. */
const uuidOf = (text: string): string => {
  const hex = createHash("sha256").update(text).digest("hex")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** Writes the bill of materials: a CycloneDX document in JSON, of the program and the packages whose code is in the release. */
export const sbomOf = ({ date, manifest, needs }: Release, packages: ReadonlyArray<RuntimePackage>): string => {
  const program = componentOf(manifest, Enums.ComponentType.Application)
  const components = new Map(
    packages.map((one) => [one.folder, componentOf(one.manifest, Enums.ComponentType.Library)])
  )
  const connect = (from: Models.Component, to: ReadonlyArray<string>): void => {
    for (const folder of to) {
      const component = components.get(folder)
      if (component !== undefined) from.dependencies.add(component.bomRef)
    }
  }
  connect(program, needs)
  for (const { folder, needs } of packages) {
    const component = components.get(folder)
    if (component !== undefined) connect(component, needs)
  }
  const bom = new Models.Bom({
    serialNumber: `urn:uuid:${uuidOf([purlOf(manifest), date.toISOString(), ...packages.map(({ manifest }) => purlOf(manifest))].join("\n"))}`,
    metadata: new Models.Metadata({ component: program, timestamp: date }),
    components: new Models.ComponentRepository(components.values())
  })
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6))
  return `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`
}
