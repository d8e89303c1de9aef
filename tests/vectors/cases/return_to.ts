import { document, Group, repeated } from './common.ts'

const path = new Group('returnTo')
const origin = 'https://a.invalid'

/** A path that is accepted; the URL standard's own parser must come to the same normal form. */
function kept(name: string, comment: string, text: string, expect: string = text, base?: string): void {
  const url = new URL(text, origin)
  const parsed = url.pathname + url.search + url.hash
  if (url.origin !== origin || parsed !== expect)
    throw new Error(`${name}: the URL standard says ${url.href}`)
  path.good(name, comment, base === undefined ? { text } : { text, base }, expect)
}
const refused = (name: string, comment: string, text: unknown, base?: string): void =>
  path.good(name, comment, base === undefined ? { text } : { text, base }, null)

kept('root', 'T11: the root is a path, which nothing is not.', '/')
kept('path', 'A path.', '/settings/connections')
kept('query-fragment', 'With query and fragment.', '/a?b=c&d=//e#f?g')
kept('url-in-query', 'A URL in the query goes nowhere.', '/a?next=https://evil.example/')
kept('dot-segment', 'Dot segments are resolved.', '/a/./b', '/a/b')
kept('double-dot-segment', 'Dot segments are resolved.', '/a/../b', '/b')
kept('dots-at-the-end', 'A dot segment at the end leaves a slash.', '/a/b/..', '/a/')
kept('dots-above-root', 'Nothing lies above the root.', '/../../a', '/a')
kept('dots-encoded', '`%2e` is a dot.', '/a/%2e%2E/b', '/b')
kept('dots-half-encoded', '`%2e` is a dot.', '/a/.%2e/b', '/b')
kept('three-dots', 'Three dots are a name.', '/a/.../b')
kept('dots-in-query', 'Dots in a query are none.', '/a?b=/../c')
kept('empty-segments', 'Empty segments inside stay.', '/a//b///c')
kept('blank-at-the-end', 'Blanks at the end go.', '/a  ', '/a')
kept('blank-inside', 'Blanks inside are encoded.', '/a b?c d#e f', '/a%20b?c%20d#e%20f')
kept('empty-query', 'An empty query stands for nothing.', '/a?#b', '/a#b')
kept('empty-fragment', 'An empty fragment stands for nothing.', '/a?b#', '/a?b')
kept(
  'unicode',
  'Everything outside ASCII is encoded as UTF-8.',
  '/\u00e9/\u5bc6?\u00e9#\u{1f511}',
  '/%C3%A9/%E5%AF%86?%C3%A9#%F0%9F%94%91',
)
kept('path-set', 'The path percent-encode set.', '/"<>^`{}|\'', "/%22%3C%3E%5E%60%7B%7D|'")
kept('query-set', 'The special-query percent-encode set.', '/?"<>^`{}|\'', '/?%22%3C%3E^`{}|%27')
kept('fragment-set', 'The fragment percent-encode set.', '/#"<>^`{}|\'', "/#%22%3C%3E^%60{}|'")
kept('percent', 'A percent sign stays as it is.', '/%zz/%2f%41', '/%zz/%2f%41')
kept('encoded-slash-later', 'An encoded slash that is not the second character.', '/a%2f%2fb')
kept('at', 'An `@` in a path is no user.', '/@evil.example')
kept('colon', 'A colon in a path is no scheme.', '/javascript:alert(1)')
kept('512-bytes', 'The longest path.', `/${'r'.repeat(511)}`)
kept('base', 'A path that lies in its base.', '/app/x', '/app/x', '/app')
kept('base-itself', 'The base itself.', '/app', '/app', '/app')
kept('base-query', 'The base with a query.', '/app?x', '/app?x', '/app')
kept('base-after-dots', 'What counts is the normal form.', '/x/../app/y', '/app/y', '/app')

refused('empty', 'T11: nothing is not the root.', '')
refused('relative', 'T11: a relative path.', 'settings')
refused('query-only', 'T11: a query alone.', '?a')
refused('fragment-only', 'T11: a fragment alone.', '#a')
refused('other-host', 'T11: `//host`.', '//evil.example')
refused('other-host-three', 'T11: three slashes.', '///evil.example')
refused('backslash', 'T11: `/\\host`.', '/\\evil.example')
refused('backslashes', 'T11: `\\\\host`.', '\\\\evil.example')
refused('backslash-inside', 'T11: a backslash anywhere.', '/a\\b')
refused('backslash-in-query', 'T11: a backslash anywhere.', '/a?b\\c')
refused('dot-then-host', 'T11: `/.//host` is `//host` when its dot is gone.', '/.//evil.example')
refused('dots-then-host', 'T11: `/..//host` is `//host` too.', '/..//evil.example')
refused('segment-dots-then-host', 'T11: `/a/..//host` is `//host` too.', '/a/..//evil.example')
refused('encoded-dot-then-host', 'T11: `/%2e//host` is `//host` too.', '/%2e//evil.example')
refused('encoded-slash', 'T11: a server that decodes once sees `//host`.', '/%2fevil.example')
refused('encoded-slash-upper', 'T11: in either case.', '/%2Fevil.example')
refused('encoded-backslash', 'T11: a server that decodes once sees `/\\host`.', '/%5cevil.example')
refused('encoded-backslash-upper', 'T11: in either case.', '/%5Cevil.example')
refused('scheme-relative', 'T11: `https:host`.', 'https:evil.example')
refused('url', 'T11: an absolute URL.', 'https://evil.example/')
refused('javascript', 'T11: a URL of another kind.', 'javascript:alert(1)')
refused('data', 'T11: a URL of another kind.', 'data:text/html,x')
refused('blank-before', 'T11: a blank in front.', ' /a')
refused('nul', 'T11: NUL.', '/a\u0000b')
refused('tab', 'T11: a tab, which browsers pass over.', '/\t/evil.example')
refused('line-feed', 'T11: a line feed, which browsers pass over.', '/a\n/b')
refused('carriage-return', 'T11: a carriage return, which browsers pass over.', '/a\r/b')
refused('del', 'T11: DEL.', '/a\u007f')
refused('513-bytes', 'T11: one byte too long.', repeated('r', 512, { before: '/' }))
refused('513-bytes-encoded', 'T11: a normal form that is too long.', repeated('\u00e9', 86, { before: '/' }))
refused('base-outside', 'A path beside its base.', '/other', '/app')
refused('base-prefix', 'A longer name that begins like the base.', '/application', '/app')
refused('base-left-by-dots', 'A path that leaves its base.', '/app/../other', '/app')

export default document('Return paths: the normal form, or null.', path)
