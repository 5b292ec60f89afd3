import { SignJWT } from "jose"

/** The JWT_SECRET_KEY of every program under test. */
export const signingSecret = "a signing secret for tests, long enough"

/** What a program under test in production is: on the tests' superuser, with the secret above and the sample files. */
export const insecureUnderTest = "superuser,weak-secret,unbound-tokens,sample-policy,echo-models"

/** Seconds from now until it expires; negative for one that has. */
export const tokenOf = (ghost: string, expiresIn = 3_600, secret = signingSecret): Promise<string> =>
  new SignJWT({ groups: ["admin"] })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(ghost)
    .setIssuedAt(Math.floor(Date.now() / 1_000))
    .setExpirationTime(Math.floor(Date.now() / 1_000) + expiresIn)
    .sign(new TextEncoder().encode(secret))
