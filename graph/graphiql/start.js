'use strict';

// The access token of the last signIn or refreshSession that ran here; an Authorization header of the editor wins.
let accessToken;

async function fetcher(params, options) {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json' };
  if (accessToken) headers.Authorization = `Bearer ${accessToken}`;
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { ...headers, ...(options && options.headers) },
    body: JSON.stringify(params),
  });
  const answer = await response.json();
  const session = answer.data && (answer.data.signIn || answer.data.refreshSession);
  if (session && session.accessToken) accessToken = session.accessToken;
  if (answer.data && answer.data.signOut) accessToken = undefined;
  return answer;
}

const welcome = `# Sign in first: the operator is admin, the password is the one that the server was started with or has printed.
# The access token is then sent with everything that runs in this window.
mutation SignIn($password: String!) {
  signIn(username: "admin", password: $password) {
    accessToken
    viewer { permissions }
    userErrors { code message }
  }
}

query Accounts {
  accounts(first: 10) {
    nodes { externalId msisdn state bindings { nodes { state device { serialNumber reachability } } } }
  }
}
`;

ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultQuery: welcome,
    shouldPersistHeaders: false,
    isHeadersEditorEnabled: true,
  }),
);
