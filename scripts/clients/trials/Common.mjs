/** The tool that all clients offer, in OpenAI's form. */
export const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
  }
}

export const messages = [{ role: "user", content: "hi" }]

/** The error that `run` rejects with. */
export const errorOf = async (run) => {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error("no error came")
}

/** The classes that OpenAI's client has for a status. */
export const openAiErrorNames = { 400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError" }

/** What a trial asks of an error of OpenAI's client, or of one that passes it on. */
export const openAiFailure = (error) => ({
  status: error.status,
  name: error.constructor.name,
  isOwnType: error.constructor.name === openAiErrorNames[error.status]
})
