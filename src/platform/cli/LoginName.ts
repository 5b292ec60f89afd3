import * as Effect from "effect/Effect"

/** The name of the account that runs the program, or a word that stands for it: `userInfo` throws where there is no entry. */
export const loginName = (userInfo: () => { readonly username: string }) =>
  Effect.orElseSucceed(
    Effect.try(() => userInfo().username),
    () => "somebody"
  )
