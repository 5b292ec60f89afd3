import { expect, it } from "@effect/vitest"
import * as Option from "effect/Option"
import { parseDowngrade, parseUpgrade, Target } from "../../../src/migrator/plan/Target.ts"

it.each<[text: string, target: Target]>([
  ["head", Target.Head()],
  ["+2", Target.Forward({ count: 2 })],
  ["2", Target.UpTo({ number: 2, slug: null })],
  ["0002_add_reason", Target.UpTo({ number: 2, slug: "add_reason" })]
])("upgrade takes %s", (text, target) => {
  expect(parseUpgrade(text)).toEqual(Option.some(target))
})

it.each<[text: string, target: Target]>([
  ["base", Target.DownTo({ number: 0, slug: null })],
  ["-1", Target.Back({ count: 1 })],
  ["0001_first", Target.DownTo({ number: 1, slug: "first" })]
])("downgrade takes %s", (text, target) => {
  expect(parseDowngrade(text)).toEqual(Option.some(target))
})

it.each(["", "-0", "+0", "--1", "1.5", "-1 ", "HEAD", "first", "12345"])("neither parser accepts %j", (text) => {
  expect([parseUpgrade(text), parseDowngrade(text)]).toEqual([Option.none(), Option.none()])
})
