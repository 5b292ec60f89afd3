import { expect, it } from "@effect/vitest"
import { type Revocation, stopListOf } from "../../../src/domain/Stops.ts"
import { openStops } from "../../../src/guardian/stops/StopEnforcement.ts"

const revocation = (no: number, subject: string, effect: Revocation["effect"] = "stop"): Revocation => ({
  ...{ no, id: String(no), kind: "ghost", subject, effect, at: no, by: "admin", reason: null }
})

const lasting = revocation(1, "Lasting")
const stop = revocation(2, "Lifted")
const resume = revocation(3, "Lifted", "resume")

it("a stop that was lifted is carried out until it has settled, and one that lasts for ever", () => {
  const open = openStops()
  const look = (now: number, ...all: ReadonlyArray<Revocation>) => [...open.of(stopListOf(all).ghosts, now).keys()]
  expect(look(0, lasting, stop)).toEqual(["Lasting", "Lifted"])
  open.carriedOut(0)
  // The minute begins when the resume becomes known here.
  expect(look(100_000, lasting, stop, resume)).toEqual(["Lasting", "Lifted"])
  open.carriedOut(100_000)
  expect(look(159_999, lasting, stop, resume)).toEqual(["Lasting", "Lifted"])
  open.carriedOut(159_999)
  // While PostgreSQL is away nothing is carried out, however long that takes.
  for (const now of [200_000, 300_000]) expect(look(now, lasting, stop, resume)).toEqual(["Lasting", "Lifted"])
  open.carriedOut(300_000)
  expect(look(301_000, lasting, stop, resume)).toEqual(["Lasting"])

  // Another stop of the same ghost, and one that is written late and leaves the first one in effect.
  const again = revocation(4, "Lifted")
  expect(look(302_000, lasting, stop, resume, again)).toEqual(["Lasting", "Lifted"])
  const late = { ...again, at: 1 }
  expect(look(303_000, lasting, stop, resume, late)).toEqual(["Lasting", "Lifted"])
  expect(look(304_000, lasting, stop, resume, late, revocation(5, "Lifted", "resume"))).toEqual(["Lasting", "Lifted"])
})
