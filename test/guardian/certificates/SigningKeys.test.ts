import { generateKeyPairSync } from "node:crypto"
import { chmod, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AllSettings from "../../../src/app/AllSettings.ts"
import { SigningKeys } from "../../../src/guardian/certificates/SigningKeys.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const ed25519 = () => generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString()

const keysWith = (environment: Readonly<Record<string, string>>) => {
  const provider = ConfigProvider.fromMap(new Map(Object.entries(environment)))
  const settings = AllSettings.layer.pipe(Layer.provide(Layer.setConfigProvider(provider)))
  // Fresh, as another process would have it.
  return Effect.provide(SigningKeys, Layer.fresh(SigningKeys.layer).pipe(Layer.provide([settings, NodeContext.layer])))
}

describe("SigningKeys", () => {
  it.scopedLive("agree on one key when two start at once, readable by its owner alone", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const starts = Array.from({ length: 8 }, () => keysWith({ GRAVITAS_HOME: join(home, "new") }))
      const all = yield* Effect.all(starts, { concurrency: "unbounded" })
      expect(new Set(all.map(({ active }) => active.id)).size).toBe(1)
      const directory = join(home, "new", "guardian-keys")
      expect(yield* Effect.promise(() => readdir(directory))).toEqual(["active.pem"])
      const { mode } = yield* Effect.promise(() => stat(join(directory, "active.pem")))
      expect(mode & 0o777).toBe(0o600)
    })
  )

  it.scopedLive("refuse a private key that others may read, a key or directory that they may change, and links", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const directory = join(home, "guardian-keys")
      const [active, old] = [join(directory, "active.pem"), join(directory, "old.pem")]
      const refusal = Effect.map(Effect.flip(keysWith({ GRAVITAS_HOME: home })), ({ message }) => message)
      const change = (path: string, mode: number) => Effect.promise(() => chmod(path, mode))
      const { jwks } = yield* keysWith({ GRAVITAS_HOME: home })
      yield* change(active, 0o640)
      expect(yield* refusal).toContain(`chmod 600 ${active}`)
      yield* change(active, 0o400)
      yield* change(directory, 0o770)
      expect(yield* refusal).toContain(`chmod 700 ${directory}`)
      yield* change(directory, 0o700)
      yield* Effect.promise(() =>
        writeFile(join(directory, "public.jwk"), JSON.stringify(jwks.keys[0]), { mode: 0o644 })
      )
      yield* keysWith({ GRAVITAS_HOME: home })
      yield* change(join(directory, "public.jwk"), 0o666)
      expect(yield* refusal).toContain(`chmod 600 ${join(directory, "public.jwk")}`)
      yield* change(join(directory, "public.jwk"), 0o644)
      yield* Effect.promise(() => symlink(active, old))
      expect(yield* refusal).toContain(`${old} is a symbolic link`)
      yield* Effect.promise(() => rm(old))
      yield* change(directory, 0o500)
      yield* keysWith({ GRAVITAS_HOME: home })
    })
  )

  it.scopedLive("rotate: the file moved aside verifies, a new one signs", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const before = yield* keysWith({ GRAVITAS_HOME: home })
      const directory = join(home, "guardian-keys")
      yield* Effect.promise(() => rename(join(directory, "active.pem"), join(directory, "2026-01.pem")))
      const after = yield* keysWith({ GRAVITAS_HOME: home })
      expect(after.active.id).not.toBe(before.active.id)
      expect(after.find(before.active.id)).toBeDefined()
      expect(after.jwks.keys).toHaveLength(2)
    })
  )

  it.scopedLive("come from the settings as PEM, as PEM in one line, and as a JWK, with former ones", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const pem = ed25519()
      const plain = yield* keysWith({ GRAVITAS_HOME: home, GUARDIAN_SIGNING_KEY: pem, NODE_ENV: "production" })
      const oneLine = yield* keysWith({
        GRAVITAS_HOME: home,
        GUARDIAN_SIGNING_KEY: pem.trim().replaceAll("\n", "\\n")
      })
      expect(oneLine.active.id).toBe(plain.active.id)
      const other = yield* keysWith({
        GRAVITAS_HOME: home,
        GUARDIAN_SIGNING_KEY: JSON.stringify(generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" })),
        GUARDIAN_FORMER_KEYS: JSON.stringify({ keys: plain.jwks.keys })
      })
      expect(other.active.id).not.toBe(plain.active.id)
      expect(other.find(plain.active.id)).toBeDefined()
      expect(yield* Effect.promise(() => readdir(home))).toEqual([])
    })
  )

  it.scopedLive("are not generated in production", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const refused = yield* Effect.flip(keysWith({ GRAVITAS_HOME: home, NODE_ENV: "production" }))
      expect(refused.message).toContain("GUARDIAN_SIGNING_KEY is not set")
      expect(yield* Effect.promise(() => readdir(home))).toEqual([])
    })
  )

  it.scopedLive("refuse a text that is not an Ed25519 key, and quote nothing of it", () =>
    Effect.gen(function* () {
      const home = yield* temporaryHome
      const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 })
      const secret = rsa.privateKey.export({ format: "pem", type: "pkcs8" }).toString()
      for (const given of [
        secret,
        "-----BEGIN PRIVATE KEY-----\nMIIEverysecret\n-----END PRIVATE KEY-----",
        '{"d":"hidden"}'
      ]) {
        const { message } = yield* Effect.flip(keysWith({ GRAVITAS_HOME: home, GUARDIAN_SIGNING_KEY: given }))
        expect(message).toContain("GUARDIAN_SIGNING_KEY")
        expect(message).not.toMatch(/MIIE|hidden/)
      }
      yield* keysWith({ GRAVITAS_HOME: home })
      const file = join(home, "guardian-keys", "old.jwk")
      yield* Effect.promise(() => writeFile(file, "garbage", { mode: 0o600 }))
      const { message } = yield* Effect.flip(keysWith({ GRAVITAS_HOME: home }))
      expect(message).toContain(file)
      expect(yield* Effect.promise(() => readFile(file, "utf8"))).toBe("garbage")
    })
  )
})
