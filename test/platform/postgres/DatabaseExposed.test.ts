import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { isExposed } from "../../../src/platform/postgres/Database.ts"
import { testCa } from "../../support/Certificates.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

it.scoped("A database is exposed where others on the network can read what is said to it or answer in its place", () =>
  Effect.gen(function* () {
    const ca = join(yield* temporaryHome, "ca.crt")
    writeFileSync(ca, testCa("a CA").cert)
    for (const [url, exposed] of [
      ["postgresql://u:p@127.0.0.1/d", false],
      ["postgresql://u:p@localhost:5433/d", false],
      ["postgresql://u:p@[::1]/d", false],
      ["postgresql://u:p@/d?host=/run/postgresql", false],
      ["postgresql://u:p@db.example/d", true],
      ["postgresql://u:p@127.0.0.1.example/d", true],
      ["postgresql://u:p@127.0.0.1/d?host=db.example", true],
      ["postgresql://u:p@db.example/d?sslmode=disable", true],
      ["postgresql://u:p@db.example/d?sslmode=no-verify", true],
      ["postgresql://u:p@db.example/d?uselibpqcompat=true&sslmode=require", true],
      ["postgresql://u:p@db.example/d?sslmode=verify-full", false],
      [`postgresql://u:p@db.example/d?sslmode=verify-full&sslrootcert=${ca}`, false]
    ] as const) {
      expect([url, isExposed(Redacted.make(url))]).toEqual([url, exposed])
    }
  })
)
