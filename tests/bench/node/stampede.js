// 500 promises on one cold key: how many loads they cause, as JSON.
import { TTLCache } from "undercroft";

const loads = [];
for (let round = 0; round < 20; round++) {
  let count = 0;
  const fn = TTLCache.cached("k:{}", { ttl: 60 })(async (id) => {
    count += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
    return id;
  });
  await Promise.all(Array.from({ length: 500 }, () => fn(round)));
  loads.push(count);
}
process.stdout.write(JSON.stringify({ loads: Math.max(...loads) }));
