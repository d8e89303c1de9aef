import { document, Group, k1, minimal, repeated, tokenOf } from './common.ts'
import { base64url, seal } from '../reference.ts'

const redact = new Group('redact')
const m = '[redacted]'
const stays = (name: string, comment: string, text: string): void =>
  redact.good(name, comment, { text }, text)
const gone = (name: string, comment: string, before: string, secret: string, after = ''): void =>
  redact.good(name, comment, { text: before + secret + after }, before + m + after)

// Random characters that are nobody's, in the alphabet of each form.
const letters = 'A9zK3mQ7xW2vN5cR8tB4yH6jL1pD0sFgT'
const of = (length: number): string => letters.repeat(Math.ceil(length / letters.length)).slice(0, length)

const forms: Readonly<Record<string, string>> = {
  'github-classic': `ghp_${of(36)}`,
  'github-oauth': `gho_${of(36)}`,
  'github-user': `ghu_${of(36)}`,
  'github-server': `ghs_${of(36)}`,
  'github-refresh': `ghr_${of(76)}`,
  'github-fine-grained': `github_pat_${of(22)}_${of(59)}`,
  'github-server-long': `ghs_1234567_${base64url('{"alg":"RS256"}')}.${of(220)}-_${of(40)}.${of(342)}`,
  'gitlab-personal': `glpat-${of(20)}`,
  'gitlab-routable': `glpat-${of(27)}.01.${of(9)}`,
  'gitlab-oauth-secret': `gloas-${of(64)}`,
  'gitlab-runner': `glrt-${of(20)}`,
  'gitlab-trigger': `glptt-${of(40)}`,
  'gitlab-job': `glcbt-64_${of(20)}`,
  'slack-bot': `xoxb-1234567890-1234567890-${of(24)}`,
  'slack-user': `xoxp-1234567890-1234567890-${of(32)}`,
  'slack-legacy': `xoxa-2-${of(40)}`,
  'slack-refresh': `xoxe-1-${of(140)}`,
  'slack-rotating': `xoxe.xoxp-1-${of(160)}`,
  'slack-app': `xapp-1-A0123456789-1234567890-${of(64)}`,
  'slack-cookie': `xoxd-${of(40)}%2B${of(40)}%3D`,
  'google-access': `ya29.a0${of(160)}`,
  'google-refresh': `1//0${of(60)}-${of(30)}_x`,
  'google-code': `4/0A${of(60)}`,
  'google-key': `AIza${of(35)}`,
  'google-secret': `GOCSPX-${of(28)}`,
  'atlassian-api': `ATATT3xFfGF0${of(170)}=0A1B2C3D`,
  'atlassian-bitbucket': `ATCTT3xFfGN0${of(170)}=0A1B2C3D`,
  'atlassian-app-password': `ATBB${of(32)}`,
  'stripe-live': `sk_live_${of(24)}`,
  'stripe-test': `sk_test_${of(99)}`,
  'stripe-restricted': `rk_live_${of(24)}`,
  'webhook-secret': 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  shopify: `shpat_${'0123456789abcdef'.repeat(2)}`,
  linear: `lin_oauth_${of(64)}`,
  state: tokenOf(minimal),
  jwe: `${base64url('{"alg":"dir","enc":"A256GCM"}')}..${of(16)}.${of(90)}.${of(22)}`,
  sealed: seal(k1, new TextEncoder().encode('plain text'), ['a'], new Uint8Array(24)),
}
for (const [name, token] of Object.entries(forms)) {
  gone(`form/${name}`, 'T56: a token by its form.', 'it said "', token, '" and went on')
  gone(`form/${name}/escaped`, 'T56: right behind an escaped line feed.', 'one\\n', token, '\\ntwo')
  gone(`form/${name}/encoded`, 'T56: right behind an encoded equals sign.', '?x%3D', token, '&y=1')
}
stays('form/prefixes', 'A prefix alone is none.', 'ghp_ gho_ glpat- xoxb- sk_live_ eyJ whsec_ 1// lks1.')
stays(
  'form/words',
  'Words that have a prefix in them.',
  'highs_and_lows_of_days task_live_updates_now keyJustification',
)

for (const name of [
  ...[
    'access_token',
    'refresh_token',
    'id_token',
    'client_secret',
    'code',
    'code_verifier',
    'password',
    'secret',
  ],
  ...[
    'token',
    'assertion',
    'api_key',
    'state',
    'ACCESS_TOKEN',
    'accessToken',
    'clientSecret',
    'GITHUB_CLIENT_SECRET',
  ],
  ...['LATCHKEY_KEYS', 'LATCHKEY_PRINCIPAL_KEY', 'private-token', 'x-gitlab-token', 'x-hub-signature-256'],
]) {
  const secret = 'k1:Zq9-not.a/known+form~of=token'
  gone(
    `member/${name}/query`,
    'T56: a member of a query.',
    `https://x.example/cb?a=1&${name}=`,
    secret,
    '&b=2',
  )
  gone(`member/${name}/json`, 'T56: a member of JSON.', `{"a": 1, "${name}" : "`, secret, '", "b": 2}')
  gone(`member/${name}/nested`, 'T56: in JSON within JSON.', `{\\"${name}\\":\\"`, secret, '\\"}')
  gone(`member/${name}/encoded`, 'T56: percent-encoded.', `r=%2Fcb%3F${name}%3D`, 'Zq9-percent', '%26b%3D2')
  gone(`member/${name}/pair`, 'T56: in a list of pairs.', `[["${name}","`, secret, '"],["b","c"]]')
}
gone('member/escaped-quote', 'A quotation mark in a value.', '{"password":"', 'a\\"b\\\\', '","b":1}')
gone('member/no-end', 'Without its end, everything is the value.', '{"password":"', 'abc, b: 1')
gone('member/blank', 'In a value of its own line.', 'password: ', 'hunter2', '\nnext: line')
gone('member/scheme', 'A scheme is not all of it.', 'authorization=', 'Bearer abc', ' x')
gone('member/list', 'A list of values.', "'set-cookie': ", "[ 'a=b; Path=/', 'c=d' ]", ', x: 1')
gone('member/code-unquoted', 'An authorization code after a colon.', 'code: ', '4fC9e0Zq81LmP0xT', '\n')
stays(
  'member/words',
  'Codes and states that are words.',
  '{"code":"invalid_state","state":"closed"} exit code: 1',
)
stays(
  'member/literals',
  'No value is no secret.',
  '{"token":null,"secret":true,"password":false} token=undefined',
)
stays(
  'member/other',
  'Other members.',
  'token_type=bearer&expires_in=3600&max_tokens=5&code_challenge_method=S256',
)

gone('header/authorization', 'T56.', 'GET /\r\nAuthorization: ', 'Basic dXNlcjpwYXNz', '\r\nHost: x')
gone('header/digest', 'T56.', 'authorization: ', 'Digest username="u", response="6629fae4"', '\nhost: x')
gone('header/cookie', 'T56.', 'Cookie: ', 'a=b; c=d', '\nhost: x')
gone(
  'header/curl',
  'T56: within quotation marks.',
  "curl -H 'PROXY-AUTHORIZATION: ",
  'token abc',
  "' https://x.example",
)
gone('header/bearer', 'T56: a scheme alone.', 'sent Bearer ', 'abcDEF123456', ' twice')
gone('header/basic', 'T56: base64 with a colon in it.', 'sent basic ', 'dXNlcjpwYXNzd29yZA==', ' twice')
stays(
  'header/prose',
  'Schemes in prose.',
  'Basic Authentication is not Bearer Authentication; the bearer of this token',
)

gone('url/password', 'T56: user info.', 'git clone https://', 'user:p%40ss', '@github.com/a/b.git')
gone('url/user', 'T56: a token can be the user.', 'https://', 'opaque', '@host/a@b')
gone('url/database', 'T56: another scheme.', 'postgres://', 'app:p@ss', '@db:5432/x')
gone('url/encoded', 'T56: in a query.', 'u=https%3A%2F%2F', 'a%3Ab', '%40host%2F')
stays(
  'url/none',
  'No credentials.',
  'ssh://git@github.com/a.git https://host/@scope/p@1 https://h:8443/ a@b.example',
)

const body = `${of(64)}\n${of(64)}\n${of(20)}=`
for (const label of ['PRIVATE KEY', 'RSA PRIVATE KEY', 'OPENSSH PRIVATE KEY', 'PGP PRIVATE KEY BLOCK']) {
  const pem = `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----`
  gone(`pem/${label}`, 'T56.', 'a\n', pem, '\nb')
  gone(`pem/${label}/escaped`, 'T56.', '{"k":"', pem.replaceAll('\n', '\\n'), '"}')
  gone(`pem/${label}/cut`, 'T56.', 'a ', pem.slice(0, 90))
}
stays('pem/public', 'Public.', `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----`)

stays('plain/nothing', 'Nothing.', '')
stays(
  'plain/ids',
  'Ids and hashes.',
  '550e8400-e29b-41d4-a716-446655440000 0123456789abcdef0123456789abcdef01234567',
)
stays('plain/text', 'Any text.', '\u00E9t\u00E9 \u2665 \u{1F511} C:\\new\\table 50% &amp; \\u0041')
stays('plain/again', 'What has been redacted.', `token=${m}&x="${m}" https://${m}@host`)
redact.good(
  'plain/longest',
  'As long as can be.',
  { text: repeated('abcd, ', 4000) },
  repeated('abcd, ', 4000),
)
redact.good(
  'plain/growing',
  'Much longer afterwards.',
  { text: repeated('jwt=a&', 4000) },
  repeated(`jwt=${m}&`, 4000),
)
redact.bad('too-long', 'Never a part of a text.', { text: repeated('x', 24_001) }, 'output_too_small')

export default document('Text for people, with every credential in it replaced.', redact)
