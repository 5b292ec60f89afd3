import * as Fs from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as ConnectionFile from "../../src/embedded-postgres/ConnectionFile.ts"
import { displayAddress } from "../../src/platform/postgres/Database.ts"
import { temporaryHome } from "../support/TemporaryHome.ts"

const file = { home: "/srv/home", password: Redacted.make("hunter2"), host: "/srv/home/postgres/socket", port: 5432 }

describe("connection.json", () => {
  it.scopedLive("is read as it was written, and as earlier versions wrote it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryHome
      expect(yield* ConnectionFile.read(directory)).toEqual(Option.none())
      yield* ConnectionFile.write(directory, file)
      expect(yield* ConnectionFile.read(directory)).toEqual(Option.some(file))
      const earlier = JSON.stringify({ home: "/srv/home", password: "hunter2", port: 54_321 })
      Fs.writeFileSync(join(directory, "connection.json"), earlier)
      expect(yield* ConnectionFile.read(directory)).toEqual(Option.some({ ...file, host: "127.0.0.1", port: 54_321 }))
    })
  )

  it.scopedLive("is refused where others may read it, and where it is a link", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryHome
      const path = join(directory, "connection.json")
      yield* ConnectionFile.write(directory, file)
      Fs.chmodSync(path, 0o644)
      expect((yield* Effect.flip(ConnectionFile.read(directory))).message).toContain(`chmod 600 ${path}`)
      Fs.renameSync(path, join(directory, "moved"))
      Fs.symlinkSync("moved", path)
      expect((yield* Effect.flip(ConnectionFile.read(directory))).message).toContain("is a symbolic link")
    })
  )
})

describe("the connection string", () => {
  it.each([
    ["/srv/ä home, with a comma", "postgresql://gravitas@/gravitas?host=/srv/ä home, with a comma"],
    ["127.0.0.1", "postgresql://gravitas@127.0.0.1:5432/gravitas"]
  ])("of %j has a form that can be shown", (host, shown) => {
    const url = ConnectionFile.urlOf(Redacted.make("hunter2"), { host, port: 5432 }, "gravitas")
    expect(Redacted.value(url)).toContain("hunter2")
    expect(displayAddress(url)).toBe(shown)
  })
})
