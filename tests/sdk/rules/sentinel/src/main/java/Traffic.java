import com.alibaba.csp.sentinel.Entry;
import com.alibaba.csp.sentinel.SphU;
import com.alibaba.csp.sentinel.cluster.TokenResultStatus;
import com.alibaba.csp.sentinel.cluster.flow.DefaultTokenService;
import com.alibaba.csp.sentinel.slots.block.BlockException;
import com.alibaba.csp.sentinel.slots.block.flow.FlowRule;
import com.alibaba.csp.sentinel.util.TimeUtil;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;

/**
 * Asks for a resource until as many were refused as a second lets in, and counts what came through.
 *
 * <p>Sentinel counts in buckets of its own clock and looks at those of the last second. So a burst within a second's
 * buckets gets exactly the whole part of the count, and a longer one at most that for each second it touches, however
 * slow the machine is.
 */
final class Traffic {
  /** Of `StatisticNode` for entries, and of `ClusterFlowConfig` for tokens. */
  private static final long ENTRY_BUCKET_MS = 500;
  private static final long TOKEN_BUCKET_MS = 100;
  private static final long WINDOW_MS = 1_000;

  private final DefaultTokenService tokens = new DefaultTokenService();
  private final List<String> wrong = new ArrayList<>();
  private long passed;
  private long refused;

  List<String> wrong() {
    return wrong;
  }

  String told(String what) {
    return passed + " of " + (passed + refused) + " " + what + " let in";
  }

  void enter(FlowRule rule) {
    burst("entries of " + rule.getResource(), rule.getCount(), ENTRY_BUCKET_MS, () -> {
      try (Entry entry = SphU.entry(rule.getResource())) {
        return true;
      } catch (BlockException e) {
        return false;
      }
    });
  }

  void ask(FlowRule rule) {
    long flow = rule.getClusterConfig().getFlowId();
    burst("tokens of " + rule.getResource(), rule.getCount(), TOKEN_BUCKET_MS, () -> {
      int status = tokens.requestToken(flow, 1, false).getStatus();
      if (status != TokenResultStatus.OK && status != TokenResultStatus.BLOCKED) {
        throw new IllegalStateException("the token server answers " + status + " for " + rule);
      }
      return status == TokenResultStatus.OK;
    });
  }

  private void burst(String name, double count, long bucketMs, BooleanSupplier letIn) {
    long whole = (long) count;
    if (whole == 0) {
      wrong.add(name + ": Sentinel lets nothing in at " + count + " per second");
      return;
    }
    long in = 0;
    long out = 0;
    long first = TimeUtil.currentTimeMillis() / bucketMs;
    while (out < whole && in < 1_000 * whole) {
      if (letIn.getAsBoolean()) {
        in++;
      } else {
        out++;
      }
    }
    long buckets = TimeUtil.currentTimeMillis() / bucketMs - first + 1;
    long windows = (buckets * bucketMs + WINDOW_MS - 1) / WINDOW_MS;
    passed += in;
    refused += out;
    if (in < whole || in > whole * windows || out == 0) {
      wrong.add(String.format("%s: %d were let in and %d refused in %d seconds of %s each",
          name, in, out, windows, count));
    }
  }
}
