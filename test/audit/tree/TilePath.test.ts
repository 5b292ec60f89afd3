import { expect, it } from "@effect/vitest"
import { formatTilePath, parseTilePath, tileOfSubtree, tilesAt } from "../../../src/audit/tree/TilePath.ts"

it.each([
  ["tile/0/x001/x234/067", { level: 0, index: 1_234_067, width: 256 }],
  ["tile/0/273.p/112", { level: 0, index: 273, width: 112 }],
  ["tile/1/001.p/17", { level: 1, index: 1, width: 17 }],
  ["tile/entries/000", { level: "entries" as const, index: 0, width: 256 }],
  ["tile/entries/x001/000.p/1", { level: "entries" as const, index: 1_000, width: 1 }],
  ["tile/63/999.p/255", { level: 63, index: 999, width: 255 }]
])("%s names one tile", (path, tile) => {
  expect(parseTilePath(path)).toEqual(tile)
  expect(formatTilePath(tile)).toBe(path)
})

it.each([
  "tile/64/000",
  "tile/00/000",
  "tile/0/0",
  "tile/0/0000",
  "tile/0/x000/001",
  "tile/0/001/x001",
  "tile/0/1234",
  "tile/0/000.p/0",
  "tile/0/000.p/256",
  "tile/0/000.p/01",
  "tile/0/000.p/",
  "tile/0/000/",
  "/tile/0/000",
  "tile/-1/000",
  "tile/data/000",
  "tile/0/x999/x999/x999/x999/x999/999",
  "tile/0/x999/x999/x999/x999/x999/x999/999"
])("%s is refused", (path) => {
  expect(parseTilePath(path)).toBeUndefined()
})

it("a tree of 70 000 leaves has the tiles of the specification's example", () => {
  expect([0, 1, 2].map((level) => tilesAt(level, 70_000))).toEqual([
    { full: 273, partial: 112 },
    { full: 1, partial: 17 },
    { full: 0, partial: 1 }
  ])
  expect(tilesAt("entries", 70_000)).toEqual({ full: 273, partial: 112 })
})

it("a subtree is found in the tile of its level, at the place of its first hash", () => {
  expect(tileOfSubtree({ level: 3, index: 33 }, 70_000)).toEqual({
    tile: { level: 0, index: 1, width: 256 },
    place: 8,
    hashes: 8
  })
  expect(tileOfSubtree({ level: 8, index: 272 }, 70_000)).toEqual({
    tile: { level: 1, index: 1, width: 17 },
    place: 16,
    hashes: 1
  })
})

it.each([
  [{ level: 0, index: 300 }, 10],
  [{ level: 0, index: 0 }, 0],
  [{ level: 3, index: 1 }, 10],
  [{ level: 8, index: 1 }, 300]
])("the subtree %j is not in a tree of size %d", (subtree, size) => {
  expect(() => tileOfSubtree(subtree, size)).toThrow(RangeError)
})

it.each([
  { level: 64, index: 0, width: 1 },
  { level: 0, index: 1.5, width: 1 },
  { level: 0, index: -1, width: 1 },
  { level: 0, index: 0, width: 0 },
  { level: 0, index: 0, width: 300 }
])("no path is written for %j", (tile) => {
  expect(() => formatTilePath(tile)).toThrow(RangeError)
})
