import * as Fs from "node:fs"
import * as Path from "node:path"
import type { RuntimePackage } from "./RuntimePackage.ts"

const isLicenceFile = (name: string): boolean => /^(licen[cs]e|notice|copying)/i.test(name)

/** What a package without a licence file declares in its package.json. */
const declared = ({ manifest: { author, license } }: RuntimePackage): string => {
  const holder = typeof author === "string" ? author : author?.name
  return `(no licence file; package.json says: ${license ?? "nothing"}${holder === undefined ? "" : `, by ${holder}`})`
}

const textOf = (one: RuntimePackage): string => {
  const files = Fs.readdirSync(one.folder).filter(isLicenceFile).toSorted()
  const texts = files.map((file) =>
    Fs.readFileSync(Path.join(one.folder, file), "utf8").replaceAll("\r\n", "\n").trim()
  )
  return texts.length === 0 ? declared(one) : texts.join("\n\n")
}

const rule = "=".repeat(80)

/** The licences and notices of all packages, one after another. */
export const licenceTexts = (packages: ReadonlyArray<RuntimePackage>): string =>
  packages
    .map(
      (one) =>
        `${rule}\n${one.manifest.name} ${one.manifest.version} (${one.manifest.license})\n${rule}\n\n${textOf(one)}\n`
    )
    .join("\n")
