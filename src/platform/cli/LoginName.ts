import * as Effect from "effect/Effect"

/** The name of the account that runs the program, or a word in its place: `userInfo` throws where there is no entry. */
export const loginName = (userInfo: () => { readonly username: string }) =>
  Effect.orElseSucceed(
    Effect.try(() => userInfo().username),
    () => "somebody"
  )
