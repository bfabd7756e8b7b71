// An authorization server with everything that a client can meet: node oidc.mjs PORT
// JACKFIELD_OIDC: JSON with access_token_s and device_code_s, the lives of tokens in seconds.
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const told = JSON.parse(process.env.JACKFIELD_OIDC ?? '{}');
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'jackfield-tests',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token', DEVICE],
      // native and loopback: any port is good (RFC 8252, 7.3)
      redirect_uris: ['http://127.0.0.1/callback', 'https://app.example.com/paste'],
    },
  ],
  cookies: { keys: ['only for tests'] },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, name: id }) }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    registration: { enabled: true, initialAccessToken: false },
    revocation: { enabled: true, allowedPolicy: () => true },
  },
  ttl: {
    AccessToken: told.access_token_s ?? 300,
    AuthorizationCode: 60,
    DeviceCode: told.device_code_s ?? 600,
    Grant: 3600,
    IdToken: 300,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
});

// one line for each answer of the token endpoint, so that a test can count them
const log = (what, ctx) => console.log(`${what} ${ctx.oidc.params?.grant_type}`);
provider.on('grant.success', (ctx) => log('granted', ctx));
provider.on('grant.error', (ctx, error) => console.log(`refused ${ctx.oidc?.params?.grant_type} ${error.error}`));
provider.on('grant.revoked', () => console.log('revoked'));
provider.on('server_error', (_ctx, error) => console.log(`failed ${error.stack}`));
provider.listen(port, '127.0.0.1');
