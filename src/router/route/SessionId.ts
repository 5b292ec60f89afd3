/**
 * A session's id is told to nobody who could start it first, so it ends in what nobody guesses; the request's id is in it, so that
 * it is found. It is one segment: the guardian takes no session whose name has the segments "." or "..", and a request's id may
 * be `./build/7`.
 */
export const sessionIdOf = (requestId: string, random: string): string => `${requestId.replaceAll("/", "_")}.${random}`
