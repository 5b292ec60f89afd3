import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as YamlSchema from "../../../src/platform/config/YamlSchema.ts"

const schema = (namesIn: (key: string) => ReadonlySet<string>) =>
  Schema.Struct({
    colours: YamlSchema.mapOf(Schema.Struct({ shade: Schema.Literal("light", "dark") })),
    walls: Schema.optionalWith(
      Schema.Array(
        YamlSchema.text.pipe(Schema.filter((name) => namesIn("colours").has(name) || `is ${name}, an unknown colour`))
      ),
      { exact: true, default: () => [] }
    )
  })

const problemsOf = (source: string) =>
  Either.match(YamlSchema.decode(schema, source), {
    onLeft: (problems) => problems.map(({ column, line, problem }) => `${line}:${column} ${problem}`),
    onRight: () => []
  })

describe("YamlSchema", () => {
  it("decodes a file, with the entries of a mapping in the order of the file", () => {
    const names = ["b", "7", "__proto__", "1", "constructor"]
    const source = `colours:\n${names.map((name) => `  "${name}": { shade: dark }\n`).join("")}walls: [b, "1"]\n`
    const { placeOf, value } = Either.getOrThrow(YamlSchema.decode(schema, source))
    expect([...value.colours.keys()]).toEqual(names)
    expect(value.walls).toEqual(["b", "1"])
    expect(placeOf(["colours", "7"])).toEqual({ line: 3, column: 8 })
    expect(placeOf(["walls", 1])).toEqual({ line: 7, column: 12 })
  })

  it("reports all problems in the order of the file, and what is wrong with keys too", () => {
    const source = [
      "colours:",
      "  red: { shade: grey, warm: true }",
      "  7: { shade: dark }",
      "  red: { shade: dark }",
      "  blue:",
      "  green: [dark]",
      "  *: {}".replace("*", '"a b"'),
      "walls: [red, black, 3]"
    ].join("\n")
    expect(problemsOf(source)).toEqual([
      "2:17 colours.red.shade must be one of light, dark",
      "2:23 colours.red.warm is not a known key; known: shade",
      "3:3 colours has a key that is not a text; quote it where YAML reads a number or a truth value",
      "4:3 colours.red is defined twice",
      "5:8 colours.blue must be a mapping",
      "6:10 colours.green must be a mapping",
      '7:10 colours["a b"].shade is missing',
      "8:14 walls[1] is black, an unknown colour",
      "8:21 walls[2] must be a text; quote it where YAML reads a number or a truth value"
    ])
  })

  it.each([
    [
      "an alias, which is not expanded",
      "colours: &c { red: { shade: dark } }\nwalls: *c\n",
      "2:8 walls is the alias *c, and aliases are not expanded: write the value itself here"
    ],
    [
      "a merge of an alias",
      "colours: { red: &r { shade: dark }, blue: { <<: *r } }\n",
      '1:49 colours.blue["<<"] is the alias *r, and aliases are not expanded'
    ],
    [
      "an unknown tag, and does not read past it",
      "colours: { red: { shade: !choice dark } }\n",
      "1:26 the tag !choice has no meaning here: write the value without it"
    ],
    ["a tag of another language", "colours: { red: { shade: !!python/str dark } }\n", "1:26 the tag "],
    ["an unknown directive", "%SHADE dark\n---\ncolours: {}\n", "1:1 Unknown directive"],
    ["an empty name", 'colours: { "": { shade: dark } }\n', "1:12 colours has a key that is not a text"],
    ["a list for the file", "- 1\n", "1:1 the file must be a mapping"],
    [
      "a merge key",
      "colours: { <<: { shade: dark }, red: { shade: light } }\nwall: []\n",
      "2:1 wall is not a known key"
    ]
  ])("refuses %s", (_, source, problem) => {
    expect(problemsOf(source).join("\n")).toContain(problem)
  })

  it("finds the places of many problems in a time that grows with their number", () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `  n${i}: { shade: grey }\n`)
    const started = performance.now()
    expect(problemsOf(`colours:\n${names.join("")}`)).toHaveLength(10_000)
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  it.live("decodes in turns of the event loop what it decodes at once", () =>
    Effect.gen(function* () {
      const source = `colours:\n${Array.from({ length: 2_000 }, (_, i) => `  n${i}: { shade: dark }\n`).join("")}`
      let turns = 0
      const count = () => {
        turns += 1
        immediate = setImmediate(count)
      }
      let immediate = setImmediate(count)
      const { value } = yield* YamlSchema.decodeInTurns(schema, source)
      clearImmediate(immediate)
      expect(value).toEqual(Either.getOrThrow(YamlSchema.decode(schema, source)).value)
      expect(turns).toBeGreaterThan(4)
    })
  )
})
