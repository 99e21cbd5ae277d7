interface Props<T extends string> {
  label: string
  options: readonly T[]
  value: T
  set: (value: T) => void
}

/** Choice is one of a few. */
export function Choice<T extends string>({ label, options, value, set }: Props<T>) {
  return (
    <span class="choice" role="group" aria-label={label}>
      {options.map((o) => (
        <button type="button" aria-pressed={o === value} onClick={() => set(o)}>
          {o}
        </button>
      ))}
    </span>
  )
}
