package alluvium.peer;

import static alluvium.peer.FlinkStateBench.backendName;
import static alluvium.peer.FlinkStateBench.managedMb;
import static alluvium.peer.FlinkStateBench.n;
import static alluvium.peer.FlinkStateBench.opt;
import static alluvium.peer.FlinkStateBench.roundMs;
import static alluvium.peer.FlinkStateBench.rounds;
import static alluvium.peer.FlinkStateBench.sink;
import static alluvium.peer.FlinkStateBench.warmups;

import org.apache.flink.runtime.state.StateBackend;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Rounds, what is made of them, and how it is printed. */
final class Measure {

    /** Runs the operation for positions [from, to) of its input cycle; returns something to keep. */
    interface Op {
        long run(long from, long to) throws Exception;
    }

    /** What the state held after it was filled, as one number: the other side must have the same. */
    static long filled;

    static final int BATCH = 1024;

    static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    /**
     * Runs one round: until the time is up or the cap is reached; returns {operations, nanos, CPU
     * nanos of this thread}. The CPU time is what stays comparable when other jobs share the cores.
     */
    static long[] round(Op op, long from, long cap) throws Exception {
        long limit = roundMs * 1_000_000L;
        long cpu = THREADS.getCurrentThreadCpuTime();
        long start = System.nanoTime();
        long at = from;
        long end = from + cap;
        long now = start;
        while (at < end && now - start < limit) {
            long to = Math.min(at + BATCH, end);
            sink += op.run(at, to);
            at = to;
            now = System.nanoTime();
        }
        return new long[] {at - from, now - start, THREADS.getCurrentThreadCpuTime() - cpu};
    }

    static void measure(String name, int unitsPerOp, long capPerRound, Op op) throws Exception {
        String only = opt.str("ops", "");
        if (!only.isEmpty() && !Arrays.asList(only.split(",")).contains(name)) {
            return;
        }
        System.gc();
        long at = 0;
        double[] rate = new double[rounds];
        double[] cpuRate = new double[rounds];
        long total = 0;
        long gc0 = 0;
        for (int i = 0; i < warmups + rounds; i++) {
            if (i == warmups) {
                gc0 = gcMillis();
            }
            long[] r = round(op, at, capPerRound);
            at += r[0];
            if (i >= warmups) {
                rate[i - warmups] = r[0] * (double) unitsPerOp / (r[1] / 1e9);
                cpuRate[i - warmups] = r[0] * (double) unitsPerOp / (r[2] / 1e9);
                total += r[0] * unitsPerOp;
            }
        }
        Map<String, Object> out = header("throughput");
        out.put("op", name);
        out.put("n", n);
        out.put("unit", unitsPerOp == 1 ? "op/s" : "entry/s");
        out.put("rounds", rounds);
        out.put("operations", total);
        out.put("filled", Long.toUnsignedString(filled));
        stats(out, "", rate, 0);
        stats(out, "per_cpu_s_", cpuRate, 0);
        out.put("gc_ms", gcMillis() - gc0);
        print(out);
    }

    static void stats(Map<String, Object> out, String prefix, double[] values, int digits) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int m = sorted.length;
        double median = m % 2 == 1 ? sorted[m / 2] : (sorted[m / 2 - 1] + sorted[m / 2]) / 2;
        out.put(prefix + "median", rounded(median, digits));
        out.put(prefix + "min", rounded(sorted[0], digits));
        out.put(prefix + "max", rounded(sorted[m - 1], digits));
    }

    static Object rounded(double v, int digits) {
        double scale = Math.pow(10, digits);
        double x = Math.round(v * scale) / scale;
        return digits == 0 ? (Object) (long) x : (Object) x;
    }

    static long gcMillis() {
        long ms = 0;
        for (GarbageCollectorMXBean b : ManagementFactory.getGarbageCollectorMXBeans()) {
            ms += b.getCollectionTime();
        }
        return ms;
    }

    static Map<String, Object> header(String kind) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("peer", "flink");
        out.put(
                "version",
                StateBackend.class.getPackage().getImplementationVersion() != null
                        ? StateBackend.class.getPackage().getImplementationVersion()
                        : System.getProperty("flink.version", "?"));
        out.put("backend", backendName + (managedMb > 0 ? "-managed" + managedMb + "m" : ""));
        out.put(
                "gc",
                ManagementFactory.getGarbageCollectorMXBeans().get(0).getName().split(" ")[0]);
        out.put("kind", kind);
        out.put("load1", ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage());
        out.put("workload", opt.str("workload", "value"));
        return out;
    }

    static synchronized void print(Map<String, Object> out) {
        StringBuilder b = new StringBuilder("{");
        for (Map.Entry<String, Object> e : out.entrySet()) {
            if (b.length() > 1) {
                b.append(", ");
            }
            b.append('"').append(e.getKey()).append("\": ");
            Object v = e.getValue();
            if (v instanceof Number || v instanceof Boolean) {
                b.append(v);
            } else {
                b.append('"').append(String.valueOf(v).replace("\"", "'")).append('"');
            }
        }
        System.out.println(b.append('}'));
        System.out.flush();
    }

    private Measure() {}
}
