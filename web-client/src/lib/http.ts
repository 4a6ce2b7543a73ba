/** How urql asks: by POST, for one JSON answer. Only such an answer can carry the refresh cookie; events come over a WebSocket. */
export const overPost = {
  url: "/graphql",
  preferGetMethod: false,
  fetchOptions: { headers: { accept: "application/graphql-response+json, application/json;q=0.9" } },
} as const;
