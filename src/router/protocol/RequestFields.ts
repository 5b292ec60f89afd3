import { type Tier, tiers } from "../../contracts/router/ChatSchemas.ts"
import type { Problem } from "./ChatMessages.ts"

type Body = Readonly<Record<string, unknown>>

/** A field that is null is one that is left out, as clients with optional fields send them. */
export const isLeftOut = (value: unknown): boolean => value === undefined || value === null

export const parseTruth = (body: Body, field: string, problems: Array<Problem>): boolean => {
  const value = body[field]
  if (isLeftOut(value)) return false
  if (typeof value !== "boolean") problems.push({ param: field, problem: `"${field}" must be true or false` })
  return value === true
}

/** Bounds are inclusive. */
export const parseNumber = (
  body: Body,
  field: string,
  rules: { readonly min: number; readonly max: number; readonly standard: number; readonly integer?: boolean },
  problems: Array<Problem>
): number => {
  const value = body[field]
  if (isLeftOut(value)) return rules.standard
  const fits = typeof value === "number" && value >= rules.min && value <= rules.max
  if (fits && (rules.integer !== true || Number.isInteger(value))) return value
  const what = rules.integer === true ? "an integer" : "a number"
  problems.push({ param: field, problem: `"${field}" must be ${what} from ${rules.min} to ${rules.max}` })
  return rules.standard
}

export const parseTier = (value: unknown, problems: Array<Problem>): Tier | undefined => {
  if (isLeftOut(value)) return undefined
  const tier = tiers.find((one) => typeof value === "string" && one === value.toUpperCase())
  if (tier === undefined)
    problems.push({ param: "force_tier", problem: `"force_tier" must be one of ${tiers.join(", ")}` })
  return tier
}
