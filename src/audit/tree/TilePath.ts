import { isCount } from "./verify/MerkleProofs.ts"

/** Hashes of a full tile, and entries of a full bundle: a tile has 8 levels. */
export const tileWidth = 256

/** The highest level that a path may name. */
const maxLevel = 63

/** A tile of hashes, or a bundle of entries (C2SP tlog-tiles). */
export interface Tile {
  readonly level: number | "entries"
  readonly index: number
  /** From 1 to 256. */
  readonly width: number
}

const formatIndex = (index: number): string => {
  const groups = [String(index % 1_000).padStart(3, "0")]
  for (let rest = Math.floor(index / 1_000); rest > 0; rest = Math.floor(rest / 1_000)) {
    groups.unshift(`x${String(rest % 1_000).padStart(3, "0")}`)
  }
  return groups.join("/")
}

const isTile = ({ index, level, width }: Tile): boolean =>
  (level === "entries" || (isCount(level) && level <= maxLevel)) &&
  isCount(index) &&
  isCount(width - 1) &&
  width <= tileWidth

/** Writes the path of a tile, without a leading slash. Throws a RangeError for a tile that cannot be. */
export const formatTilePath = (tile: Tile): string => {
  const { index, level, width } = tile
  if (!isTile(tile)) throw new RangeError(`no tile has the level ${level}, the index ${index} and the width ${width}`)
  return `tile/${level}/${formatIndex(index)}${width === tileWidth ? "" : `.p/${width}`}`
}

const pathShape = /^tile\/(entries|[0-9]|[1-9][0-9])\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/

/** Reads the path of a tile. A path that is not the one canonical path of its tile is refused. */
export const parseTilePath = (path: string): Tile | undefined => {
  const [, levelText, indexText = "", widthText = String(tileWidth)] = pathShape.exec(path) ?? []
  if (levelText === undefined) return undefined
  const level = levelText === "entries" ? levelText : Number(levelText)
  const tile: Tile = { level, index: Number(indexText.replaceAll(/[x/]/g, "")), width: Number(widthText) }
  return isTile(tile) && formatTilePath(tile) === path ? tile : undefined
}

/**
 * Returns where a full subtree is in a tree of this size: its tile, the first of its hashes in the tile, and how many it has there. Throws a
 * RangeError for a subtree that the tree does not have.
 */
export const tileOfSubtree = ({ index, level }: { readonly level: number; readonly index: number }, size: number) => {
  const tileLevel = Math.floor(level / 8)
  const first = index * 2 ** (level % 8)
  const tileIndex = Math.floor(first / tileWidth)
  const available = Math.floor(size / tileWidth ** tileLevel) - tileIndex * tileWidth
  const tile: Tile = { level: tileLevel, index: tileIndex, width: Math.min(tileWidth, available) }
  const [place, hashes] = [first % tileWidth, 2 ** (level % 8)]
  if (place + hashes > tile.width)
    throw new RangeError(`a tree of size ${size} has no subtree ${index} of level ${level}`)
  return { tile, place, hashes }
}

/** Returns the tiles that a tree has at a level: how many are full, and the width of the partial one. */
export const tilesAt = (
  level: number | "entries",
  size: number
): { readonly full: number; readonly partial: number } => {
  const hashes = Math.floor(size / tileWidth ** (level === "entries" ? 0 : level))
  return { full: Math.floor(hashes / tileWidth), partial: hashes % tileWidth }
}
