import * as Fs from "node:fs"
import * as Path from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { checkPlace, fileOf, isSamePlace, recordedPlace } from "../../../src/audit/store/TrailPlace.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const trail = "01983f2e-7c1a-4000-8000-0123456789ab"
const place = { system: "7301", database: "16384" }

describe("The place of a trail", () => {
  it.each([
    [place, true],
    [{ system: null, database: "16384" }, true],
    [{ system: "7301", database: "16385" }, false],
    [{ system: "7302", database: "16384" }, false],
    [{ system: null, database: "16385" }, false]
  ])("is compared as far as it is known: %j", (other, isSame) => {
    expect([isSamePlace(place, other), isSamePlace(other, place)]).toEqual([isSame, isSame])
  })

  it.scopedLive("is remembered by the home, for each trail, and another one is refused", () =>
    Effect.gen(function* () {
      const directory = Path.join(yield* temporaryHome, "journal")
      expect(yield* recordedPlace(directory, trail)).toBeUndefined()
      yield* checkPlace(directory, trail, { ...place, system: null })
      yield* checkPlace(directory, trail, place)
      expect(yield* recordedPlace(directory, trail)).toEqual(place)
      yield* checkPlace(directory, "01983f2e-7c1a-4000-8000-0123456789ac", { system: "1", database: "5" })
      yield* checkPlace(directory, trail, place)
      const refused = yield* Effect.flip(checkPlace(directory, trail, { ...place, database: "5" }))
      expect(refused).toMatchObject({ sqlstate: "3D000", reason: expect.stringContaining("trail accept-restore") })
      expect(yield* recordedPlace(directory, trail)).toEqual(place)
    })
  )

  it.scopedLive("is not known where the record cannot be used: that is an error, not a first time", () =>
    Effect.gen(function* () {
      const directory = Path.join(yield* temporaryHome, "journal")
      Fs.writeFileSync(fileOf(directory), "{", { mode: 0o600 })
      expect((yield* Effect.flip(checkPlace(directory, trail, place))).reason).toContain("cannot be used")
    })
  )
})
