import { document, Group, repeated } from './common.ts'

const loopback = new Group('guard.isLoopbackHost')
for (const host of [
  'localhost',
  'LOCALHOST',
  'localhost:8787',
  '127.0.0.1',
  '127.0.0.1:65535',
  '127.9.9.9',
  '127.255.255.255',
  '::1',
  '[::1]',
  '[::1]:80',
  '0:0:0:0:0:0:0:1',
  '::ffff:127.0.0.1',
  '[::FFFF:7f00:1]:8080',
]) {
  loopback.good(host, 'T35: this machine only.', { host }, true)
}
for (const host of [
  '127.evil.com',
  '127.0.0.1.evil.com',
  '127.0.0.256',
  '127.0.0',
  '127.1',
  '127.0.0.01',
  '0127.0.0.1',
  '0x7f.0.0.1',
  '2130706433',
  '128.0.0.1',
  '0.0.0.0',
  '10.0.0.1',
  '::ffff:127.999.0.1',
  '::ffff:128.0.0.1',
  '::127.0.0.1',
  '::',
  '::2',
  '::1::',
  '1::1',
  '[::1',
  '::1]',
  '[::1]x',
  '[127.0.0.1]',
  'localhost.',
  'localhost.evil',
  'evil.localhost',
  'xlocalhost',
  'localhost:',
  'localhost:0',
  'localhost:080',
  'localhost:65536',
  'localhost:8787:1',
  ' localhost',
  'localhost ',
  'user@localhost',
  'localhost/',
  'app.example',
]) {
  loopback.good(host, 'T35: another machine, or no host at all.', { host }, false)
}
loopback.good('(empty)', 'T35: nothing.', { host: '' }, false)

const request = new Group('guard.request')
const own = 'http://localhost:8787'
const post = {
  method: 'POST',
  host: 'localhost:8787',
  origin: own,
  secFetchSite: 'same-origin',
  contentType: 'application/json',
  ownOrigin: own,
  mediaType: 'application/json',
  proxied: false,
}
type Facts = Readonly<Record<string, unknown>>
const passes = (name: string, comment: string, changes: Facts = {}): void =>
  request.good(name, comment, { facts: { ...post, ...changes } }, { ok: true })
const stops = (name: string, comment: string, changes: Facts, status: number, code: string): void =>
  request.good(name, comment, { facts: { ...post, ...changes } }, { ok: false, status, code })
const nothing = { origin: undefined, secFetchSite: undefined, contentType: undefined }

passes('own-page', 'T36: our own page posts.')
passes('origin-only', 'T36: an old browser says only where it comes from.', { secFetchSite: undefined })
passes('site-only', 'T36: or only that it is the same origin.', { origin: undefined })
passes('typed-in', 'T36: `none` is the person who typed it.', { secFetchSite: 'none', origin: undefined })
passes('origin-null-with-site', 'A page without a referrer says `null`, which is no statement.', {
  origin: 'null',
})
passes('type-parameter', 'T36: parameters of the media type do not matter.', {
  contentType: 'application/json; charset=utf-8',
})
passes('type-case', 'RFC 9110 section 8.3.1: nor does its case.', { contentType: 'Application/JSON' })
passes('type-blanks', 'Nor do blanks around it.', { contentType: ' application/json\t;' })
passes('form', 'A route that takes a form.', {
  contentType: 'application/x-www-form-urlencoded',
  mediaType: 'application/x-www-form-urlencoded',
})
for (const method of ['GET', 'HEAD', 'OPTIONS'])
  passes(`safe-${method.toLowerCase()}`, 'A request that changes nothing needs no proof.', {
    method,
    ...nothing,
  })
passes('ipv6', 'The loopback address of IPv6.', { host: '[::1]:8787' })

passes('open', 'A form that is open to everybody: any host, and a proxy in front.', {
  host: 'latchkey.example',
  proxied: true,
  open: true,
})
stops(
  'open-cross-site',
  'T36: but it is our own page that sends it.',
  { host: 'latchkey.example', open: true, secFetchSite: 'cross-site' },
  403,
  'origin_refused',
)
stops(
  'open-nothing',
  'T36: and says so.',
  { host: 'latchkey.example', open: true, secFetchSite: undefined, origin: undefined },
  403,
  'origin_refused',
)
stops(
  'open-type',
  'T36: with the one media type.',
  { host: 'latchkey.example', open: true, contentType: 'text/plain' },
  415,
  'media_type_refused',
)
stops(
  'host-other',
  'T37: another name for this machine, as in DNS rebinding.',
  { host: 'evil.example:8787' },
  403,
  'host_refused',
)
stops('host-empty', 'T37: no name.', { host: '' }, 403, 'host_refused')
stops(
  'host-on-get',
  'Reading is dangerous too.',
  { method: 'GET', ...nothing, host: 'evil.example' },
  403,
  'host_refused',
)
stops('proxied', 'T37: not a request of this machine.', { proxied: true }, 403, 'proxied_refused')
stops(
  'proxied-get',
  'T37: for every method.',
  { method: 'GET', ...nothing, proxied: true },
  403,
  'proxied_refused',
)
stops(
  'no-proof',
  'T36: neither header.',
  { origin: undefined, secFetchSite: undefined },
  403,
  'origin_refused',
)
stops(
  'other-port',
  'T36: another program of this machine.',
  { origin: 'http://localhost:9999', secFetchSite: undefined },
  403,
  'origin_refused',
)
stops(
  'other-name',
  'T36: the same port by another name.',
  { origin: 'http://127.0.0.1:8787', secFetchSite: undefined },
  403,
  'origin_refused',
)
stops(
  'other-scheme',
  'T36: the same name by another scheme.',
  { origin: 'https://localhost:8787' },
  403,
  'origin_refused',
)
stops(
  'origin-null',
  'T36: `null` alone proves nothing.',
  { origin: 'null', secFetchSite: undefined },
  403,
  'origin_refused',
)
stops(
  'same-site',
  'T36: another port is the same site.',
  { secFetchSite: 'same-site' },
  403,
  'origin_refused',
)
stops(
  'cross-site',
  'T36: another site.',
  { secFetchSite: 'cross-site', origin: undefined },
  403,
  'origin_refused',
)
stops(
  'disagreement',
  'T36: both are sent, one is wrong.',
  { origin: 'https://evil.example' },
  403,
  'origin_refused',
)
stops('site-case', 'Values are compared exactly.', { secFetchSite: 'Same-Origin' }, 403, 'origin_refused')
stops(
  'method-unknown',
  'A method that we do not know may change something.',
  { method: 'get', origin: undefined, secFetchSite: undefined },
  403,
  'origin_refused',
)
stops('type-missing', 'T36: no media type.', { contentType: undefined }, 415, 'media_type_refused')
stops(
  'type-simple',
  'T36: a type that any page may send.',
  { contentType: 'text/plain; application/json' },
  415,
  'media_type_refused',
)
stops('type-longer', 'T36: a longer name.', { contentType: 'application/jsonp' }, 415, 'media_type_refused')
stops(
  'type-list',
  'T36: two types.',
  { contentType: 'text/plain, application/json' },
  415,
  'media_type_refused',
)
stops(
  'type-of-another-route',
  'T36: a form where JSON is taken.',
  { contentType: 'application/x-www-form-urlencoded' },
  415,
  'media_type_refused',
)
stops('order-host', 'The host comes first.', { host: 'evil.example', proxied: true }, 403, 'host_refused')
stops(
  'order-proxy',
  'The proxy comes second.',
  { proxied: true, origin: 'https://evil.example' },
  403,
  'proxied_refused',
)
stops(
  'order-origin',
  'The origin comes third.',
  { origin: 'https://evil.example', contentType: undefined },
  403,
  'origin_refused',
)

const outbound = new Group('guard.outbound')
const may = (name: string, comment: string, input: Facts): void =>
  outbound.good(name, comment, { dev: false, ...input }, true)
const mayNot = (name: string, comment: string, input: Facts): void =>
  outbound.good(name, comment, { dev: false, ...input }, false)
const from = 'https://as.example/token'

may('https', 'To https.', { url: from })
may('https-port', 'To any port.', { url: 'https://as.example:8443/token?a=b' })
may('ipv4', 'To an address.', { url: 'https://192.0.2.1/' })
may('ipv6', 'To an address.', { url: 'https://[2001:db8::1]/' })
mayNot('http', 'A secret is not sent in the clear.', { url: 'http://as.example/token' })
mayNot('http-in-development', 'Nor in development.', { url: 'http://as.example/token', dev: true })
mayNot('loopback', 'Nor to this machine, outside development.', { url: 'http://127.0.0.1:9000/token' })
may('loopback-in-development', 'In development to this machine.', {
  url: 'http://127.0.0.1:9000/token',
  dev: true,
})
may('localhost-in-development', 'In development to this machine.', {
  url: 'http://localhost:9000',
  dev: true,
})
mayNot('loopback-lookalike', 'A name that begins like an address.', {
  url: 'http://127.0.0.1.evil.example/',
  dev: true,
})
for (const [name, url] of [
  ['empty', ''],
  ['relative', '/token'],
  ['other-scheme', 'ftp://as.example/'],
  ['scheme-case', 'HTTPS://as.example/'],
  ['no-host', 'https:///token'],
  ['user', 'https://user@as.example/'],
  ['user-password', 'https://u:p@as.example/'],
  ['backslash', 'https://as.example\\@evil.example/'],
  ['fragment', 'https://as.example/#a'],
  ['blank', 'https://as.example/a b'],
  ['non-ascii', 'https://\u00e4s.example/'],
  ['host-case', 'https://AS.example/'],
  ['port-zero', 'https://as.example:0/'],
  ['port-large', 'https://as.example:65536/'],
  ['port-leading-zero', 'https://as.example:0443/'],
  ['query-without-path', 'https://as.example?a'],
  ['numeric-host', 'https://2130706433/'],
  ['hexadecimal-host', 'https://0x7f.1/'],
  ['trailing-dot', 'https://as.example./'],
  ['empty-label', 'https://as..example/'],
] as const) {
  mayNot(`form-${name}`, 'What is not plainly a URL is refused, not repaired.', { url })
}
may('2048-bytes', 'The longest URL.', { url: repeated('a', 2_029, { before: 'https://as.example/' }) })
mayNot('2049-bytes', 'One byte too long.', { url: repeated('a', 2_030, { before: 'https://as.example/' }) })
may('hop', 'T72: a redirect within the origin.', { url: 'https://as.example/other', from, hop: 1 })
may('hop-default-port', 'A port that is written out is the same origin.', {
  url: 'https://as.example:443/other',
  from,
  hop: 1,
})
may('hop-5', 'The fifth redirect.', { url: 'https://as.example/other', from, hop: 5 })
mayNot('hop-6', 'The sixth.', { url: 'https://as.example/other', from, hop: 6 })
mayNot('hop-without-from', 'A redirect comes from somewhere.', { url: from, hop: 1 })
mayNot('hop-host', 'T72: a redirect to another host.', { url: 'https://evil.example/token', from, hop: 1 })
mayNot('hop-port', 'T72: a redirect to another port.', { url: 'https://as.example:8443/token', from, hop: 1 })
mayNot('hop-downgrade', 'T72: a redirect to http.', { url: 'http://as.example/token', from, hop: 1 })
mayNot('hop-downgrade-in-development', 'T72: even in development and to this machine.', {
  url: 'http://localhost/token',
  from: 'https://localhost/token',
  hop: 1,
  dev: true,
})
mayNot('hop-scheme', 'T72: the same port by another scheme.', {
  url: 'https://localhost:8443/b',
  from: 'http://localhost:8443/a',
  hop: 1,
  dev: true,
})
may('hop-in-development', 'Within an origin of this machine.', {
  url: 'http://localhost:9000/b',
  from: 'http://localhost:9000/a',
  hop: 1,
  dev: true,
})

export default document(
  'Which requests may come in to a local-only route, and which may go out with a secret.',
  loopback,
  request,
  outbound,
)
