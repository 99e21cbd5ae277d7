// What these tests use of Node.js, whose types are a package of their own.

declare module 'node:test' {
  export function test(name: string, run: () => void): void
}

declare module 'node:assert/strict' {
  export function equal(got: unknown, want: unknown, message?: string): void
  export function deepEqual(got: unknown, want: unknown, message?: string): void
  export function match(got: string, want: RegExp): void
}
