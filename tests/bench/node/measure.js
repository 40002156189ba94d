// Measuring: contenders take turns, so that what else the machine does strikes all of them; medians over the rounds.

export const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

/** Returns the median nanoseconds of a call of each contender. Each is called with 0, 1, …, and awaited where `isAsync` says so. */
export async function race(contenders, { rounds, calls, isAsync }) {
  const times = new Map(Object.keys(contenders).map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, call] of Object.entries(contenders)) {
      const time = isAsync ? await awaited(call, calls) : called(call, calls);
      // The first round is for the compiler.
      if (round >= 0) times.get(name).push(time);
    }
  }
  return Object.fromEntries([...times].map(([name, own]) => [name, median(own)]));
}

function called(call, calls) {
  const started = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) call(i);
  return Number(process.hrtime.bigint() - started) / calls;
}

async function awaited(call, calls) {
  const started = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) await call(i);
  return Number(process.hrtime.bigint() - started) / calls;
}
