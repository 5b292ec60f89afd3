import * as Data from "effect/Data"
import * as Either from "effect/Either"
import type { Tier } from "../../contracts/router/ChatSchemas.ts"
import { automatic, type Catalog, type Shell } from "../models/Catalog.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"

export type RoutingQuestion = Pick<ChatRequest, "model" | "complexity" | "forceTier">

export type NoRoute = Data.TaggedEnum<{
  UnknownModel: { readonly model: string }
  /** The shell has another tier than `force_tier`. */
  OtherTier: { readonly model: string; readonly tier: Tier; readonly forced: Tier }
  /** The ghost, or the whole catalogue, has no shell of that tier. */
  EmptyTier: { readonly model: string; readonly tier: Tier }
}>
export const NoRoute = Data.taggedEnum<NoRoute>()

/** Shells in the order in which they are tried. */
export type Candidates = readonly [Shell, ...ReadonlyArray<Shell>]

const ofTier = (shells: Iterable<Shell>, model: string, tier: Tier): Either.Either<Candidates, NoRoute> => {
  const [first, ...rest] = [...shells].filter((shell) => shell.tier === tier)
  return first === undefined ? Either.left(NoRoute.EmptyTier({ model, tier })) : Either.right([first, ...rest])
}

/** The tier of a request that names no shell: `force_tier`, else L3 for a complexity over 8, else L1. */
export const tierFor = ({ complexity, forceTier }: Pick<RoutingQuestion, "complexity" | "forceTier">): Tier =>
  forceTier ?? (complexity > 8 ? "L3" : "L1")

/**
 * Chooses the shells that may answer, best first.
 *
 * A shell's name selects that shell alone, at any complexity. A ghost's name selects its preferred shell, then its fallbacks;
 * `force_tier` leaves those of that tier. `auto` selects every shell of the tier that `force_tier` or the complexity asks for.
 */
export const choose = (catalog: Catalog, question: RoutingQuestion): Either.Either<Candidates, NoRoute> => {
  const { forceTier, model } = question
  if (model === automatic) return ofTier(catalog.shells.values(), model, tierFor(question))
  const shell = catalog.shells.get(model)
  if (shell !== undefined) {
    return forceTier === undefined || forceTier === shell.tier
      ? Either.right([shell])
      : Either.left(NoRoute.OtherTier({ model, tier: shell.tier, forced: forceTier }))
  }
  const ghost = catalog.ghosts.get(model)
  if (ghost === undefined) return Either.left(NoRoute.UnknownModel({ model }))
  return forceTier === undefined ? Either.right(ghost.shells) : ofTier(ghost.shells, model, forceTier)
}
