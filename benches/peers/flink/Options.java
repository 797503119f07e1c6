package alluvium.peer;

import java.util.LinkedHashMap;
import java.util.Map;

/** Options of the command line: {@code --name value}. */
final class Options {
    final Map<String, String> given = new LinkedHashMap<>();

    Options(String[] args) {
        for (int i = 0; i < args.length; i += 2) {
            if (!args[i].startsWith("--") || i + 1 >= args.length) {
                throw new IllegalArgumentException("expected --name value, got " + args[i]);
            }
            given.put(args[i].substring(2), args[i + 1]);
        }
    }

    String str(String name, String fallback) {
        return given.getOrDefault(name, fallback);
    }

    int num(String name, int fallback) {
        return given.containsKey(name) ? Integer.parseInt(given.get(name)) : fallback;
    }

    boolean flag(String name, boolean fallback) {
        return given.containsKey(name) ? Boolean.parseBoolean(given.get(name)) : fallback;
    }
}
