import com.alibaba.cloud.sentinel.datasource.converter.JsonConverter;
import com.alibaba.csp.sentinel.datasource.Converter;
import com.alibaba.csp.sentinel.slots.block.flow.FlowRule;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.List;

/**
 * How data sources make rules from text: as Sentinel's examples do with fastjson and fastjson2, and as Spring Cloud
 * Alibaba does with Jackson, set as its auto-configuration sets it.
 */
record Parser(String name, Converter<String, List<FlowRule>> converter) {
  static final List<Parser> ALL = List.of(
      new Parser("fastjson", text ->
          com.alibaba.fastjson.JSON.parseObject(text, new com.alibaba.fastjson.TypeReference<List<FlowRule>>() {})),
      new Parser("fastjson2", text ->
          com.alibaba.fastjson2.JSON.parseObject(text, new com.alibaba.fastjson2.TypeReference<List<FlowRule>>() {})),
      new Parser("Spring Cloud Alibaba", Parser::bySpring));

  @SuppressWarnings("unchecked")
  private static List<FlowRule> bySpring(String text) {
    ObjectMapper mapper = new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);
    Converter<String, ? extends Iterable<?>> converter = new JsonConverter<>(mapper, FlowRule.class);
    List<FlowRule> rules = new ArrayList<>();
    converter.convert(text).forEach(rule -> rules.add((FlowRule) rule));
    return rules;
  }
}
