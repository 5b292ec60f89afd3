import { SignJWT } from "jose"

/** The JWT_SECRET_KEY of every program under test. */
export const signingSecret = "a signing secret for tests, long enough"

const key = new TextEncoder().encode(signingSecret)

/** Seconds from now until it expires; negative for one that has. */
export const tokenOf = (ghost: string, expiresIn = 3_600): Promise<string> =>
  new SignJWT({ groups: ["admin"] })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(ghost)
    .setIssuedAt(Math.floor(Date.now() / 1_000))
    .setExpirationTime(Math.floor(Date.now() / 1_000) + expiresIn)
    .sign(key)
