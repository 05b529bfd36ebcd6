import com.alibaba.csp.sentinel.Constants;
import com.alibaba.csp.sentinel.cluster.flow.rule.ClusterFlowRuleManager;
import com.alibaba.csp.sentinel.cluster.server.config.ClusterServerConfigManager;
import com.alibaba.csp.sentinel.datasource.FileRefreshableDataSource;
import com.alibaba.csp.sentinel.slots.block.flow.FlowRule;
import com.alibaba.csp.sentinel.slots.block.flow.FlowRuleManager;
import com.alibaba.csp.sentinel.slots.block.flow.FlowRuleUtil;
import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONArray;
import com.alibaba.fastjson2.JSONObject;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Has Sentinel read flow rules and checks that it took all of them as they are written, and that they hold.
 *
 * <p>{@code java Reader RULES EXPECTED}: RULES is the list that a data source of Sentinel gets, EXPECTED an object of
 * resource to requests per second. Every parser reads the file through Sentinel's own file data source. Prints a line
 * of what was read, or a line for each thing that is wrong and ends with 1.
 */
final class Reader {
  private static final List<String> WRONG = new ArrayList<>();

  public static void main(String[] arguments) throws Exception {
    Path rules = Path.of(arguments[0]);
    JSONArray written = JSON.parseArray(Files.readString(rules));
    Map<String, Double> expected = new TreeMap<>();
    JSON.parseObject(Files.readString(Path.of(arguments[1])))
        .forEach((resource, count) -> expected.put(resource, ((Number) count).doubleValue()));

    for (Parser parser : Parser.ALL) {
      read(parser, rules.toFile(), written, expected);
    }
    String held = WRONG.isEmpty() ? hold(FlowRuleManager.getRules()) : "";

    WRONG.forEach(System.out::println);
    if (WRONG.isEmpty()) {
      String parsers = String.join(", ", Parser.ALL.stream().map(Parser::name).toList());
      System.out.printf("Sentinel %s, %d rules read by %s; %s%n",
          Constants.SENTINEL_VERSION, written.size(), parsers, held);
    }
    // Sentinel's threads go on.
    System.exit(WRONG.isEmpty() ? 0 : 1);
  }

  /** Loads the file into Sentinel's manager, and compares what that holds with the file and with what is expected. */
  private static void read(Parser parser, File file, JSONArray written, Map<String, Double> expected) throws Exception {
    FileRefreshableDataSource<List<FlowRule>> source = new FileRefreshableDataSource<>(file, parser.converter());
    FlowRuleManager.register2Property(source.getProperty());
    List<FlowRule> parsed;
    try {
      parsed = source.loadConfig();
    } catch (Exception e) {
      WRONG.add(parser.name() + " does not read the list: " + e);
      return;
    } finally {
      source.close();
    }
    if (parsed == null || parsed.size() != written.size()) {
      WRONG.add(parser.name() + " reads " + (parsed == null ? "nothing" : parsed.size() + " rules")
          + " of " + written.size());
      return;
    }
    for (int at = 0; at < parsed.size(); at++) {
      FlowRule rule = parsed.get(at);
      String name = parser.name() + ": rule of " + rule.getResource();
      if (!FlowRuleUtil.isValidRule(rule)) {
        WRONG.add(name + " is not valid to Sentinel: " + rule);
      }
      // Sentinel's own object as JSON: what it did not take is not there.
      same(name, written.getJSONObject(at), JSON.parseObject(JSON.toJSONString(rule)));
    }
    Map<String, Double> kept = new TreeMap<>();
    FlowRuleManager.getRules().forEach(rule -> kept.put(rule.getResource(), rule.getCount()));
    if (FlowRuleManager.getRules().size() != written.size()) {
      WRONG.add(parser.name() + ": Sentinel kept " + FlowRuleManager.getRules().size() + " rules of " + written.size());
    }
    if (!kept.equals(expected)) {
      WRONG.add(parser.name() + ": Sentinel has " + kept + ", the report says " + expected);
    }
  }

  /** Everything that is written is in what was read. */
  private static void same(String name, JSONObject written, JSONObject read) {
    written.forEach((key, value) -> {
      Object other = read.get(key);
      if (!read.containsKey(key)) {
        WRONG.add(name + ": Sentinel ignores the field " + key);
      } else if (value instanceof JSONObject inner && other instanceof JSONObject innerRead) {
        same(name + ", " + key, inner, innerRead);
      } else if (value instanceof Number number && other instanceof Number numberRead) {
        if (number.doubleValue() != numberRead.doubleValue()) {
          WRONG.add(name + ": " + key + " is " + number + ", Sentinel reads " + numberRead);
        }
      } else if (!value.equals(other)) {
        WRONG.add(name + ": " + key + " is " + value + ", Sentinel reads " + other);
      }
    });
  }

  /** Asks for more than each rule lets in; rules for a cluster are asked at a token server too. */
  private static String hold(List<FlowRule> rules) {
    Traffic traffic = new Traffic();
    rules.forEach(traffic::enter);
    String told = traffic.told("entries");
    List<FlowRule> shared = rules.stream().filter(FlowRule::isClusterMode).toList();
    if (!shared.isEmpty()) {
      Traffic tokens = new Traffic();
      ClusterServerConfigManager.loadServerNamespaceSet(Set.of("hotspan"));
      ClusterFlowRuleManager.loadRules("hotspan", shared);
      shared.forEach(tokens::ask);
      WRONG.addAll(tokens.wrong());
      told += ", " + tokens.told("tokens");
    }
    WRONG.addAll(traffic.wrong());
    return told;
  }
}
