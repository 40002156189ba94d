/** What a call asks for beside its key: a policy, tiers to skip, copies that were found to be bad. */
import { guarded } from "./errors.js";
import { native, type NativeAsk } from "./native.js";

export class Ask {
  /** The number by which the core knows it, for as long as this lives. */
  readonly number: number;

  constructor(readonly native: NativeAsk) {
    this.number = native.number;
  }

  /** Makes one of a policy in JSON. */
  static of(policy: string, skip: readonly string[] = []): Ask {
    return new Ask(guarded(() => new native.Ask(policy, [...skip])));
  }

  /** Returns this question without the copies of one more tier. */
  distrusting(tier: string): Ask {
    return new Ask(this.native.distrusting(tier));
  }

  /** Returns this question with other tiers to skip. */
  skipping(tiers: readonly string[]): Ask {
    return new Ask(this.native.skipping([...tiers]));
  }

  /** Returns this question with another ttl, as JSON. */
  withTtl(ttl: string): Ask {
    return new Ask(guarded(() => this.native.withTtl(ttl)));
  }
}
