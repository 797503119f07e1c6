package alluvium.peer;

import static alluvium.peer.Backends.fresh;
import static alluvium.peer.FlinkStateBench.n;
import static alluvium.peer.FlinkStateBench.opt;
import static alluvium.peer.Measure.header;
import static alluvium.peer.Measure.print;
import static alluvium.peer.Measure.rounded;
import static alluvium.peer.Snapshots.populate;

import alluvium.peer.Backends.Backend;

import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Comparator;
import java.util.Map;
import java.util.stream.Stream;

/** Memory of a process with so many entries; and its files. */
final class Memory {

    static void memory() throws Exception {
        boolean bytes = opt.str("value", "long").equals("bytes100");
        Backend b = fresh();
        long before = liveHeap();
        long rssBefore = procKb("VmRSS");
        if (bytes) {
            populate(b, 0, n);
        } else {
            ValueState<Long> s =
                    b.state(new ValueStateDescriptor<>("value", LongSerializer.INSTANCE));
            for (long j = 0; j < n; j++) {
                b.keyed.setCurrentKey(j);
                s.update(j * 31 + 1_000_000);
            }
        }
        long peak = procKb("VmHWM");
        long after = liveHeap();
        Map<String, Object> out = header("memory");
        out.put("op", bytes ? "long->byte[100]" : "long->long");
        out.put("n", n);
        out.put("live_heap_bytes", after - before);
        out.put("live_heap_bytes_per_entry", rounded((after - before) / (double) n, 1));
        out.put("rss_before_kb", rssBefore);
        out.put("peak_rss_kb", peak);
        out.put("max_heap_mb", Runtime.getRuntime().maxMemory() >> 20);
        out.put("db_dir_bytes", size(b.dir.toPath()));
        print(out);
        b.close();
    }

    static long liveHeap() throws InterruptedException {
        Runtime r = Runtime.getRuntime();
        long used = Long.MAX_VALUE;
        for (int i = 0; i < 4; i++) {
            System.gc();
            Thread.sleep(50);
            used = Math.min(used, r.totalMemory() - r.freeMemory());
        }
        return used;
    }

    static long procKb(String field) throws IOException {
        for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
            if (line.startsWith(field + ":")) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        return -1;
    }

    static long size(Path dir) throws IOException {
        if (!Files.exists(dir)) {
            return 0;
        }
        try (Stream<Path> files = Files.walk(dir)) {
            return files.filter(Files::isRegularFile).mapToLong(p -> p.toFile().length()).sum();
        }
    }

    static void deleteTree(Path dir) throws IOException {
        if (!Files.exists(dir)) {
            return;
        }
        try (Stream<Path> files = Files.walk(dir)) {
            files.sorted(Comparator.reverseOrder()).forEach(p -> p.toFile().delete());
        }
    }

    private Memory() {}
}
