package alluvium.peer;

import static alluvium.peer.Backends.fresh;
import static alluvium.peer.FlinkStateBench.heap;
import static alluvium.peer.FlinkStateBench.n;
import static alluvium.peer.FlinkStateBench.newKeys;
import static alluvium.peer.FlinkStateBench.opt;
import static alluvium.peer.FlinkStateBench.rounds;
import static alluvium.peer.FlinkStateBench.warmups;
import static alluvium.peer.Inputs.pool;
import static alluvium.peer.Inputs.shuffled;
import static alluvium.peer.Inputs.uniform;
import static alluvium.peer.Inputs.zipf;
import static alluvium.peer.Measure.filled;
import static alluvium.peer.Measure.THREADS;
import static alluvium.peer.Measure.header;
import static alluvium.peer.Measure.measure;
import static alluvium.peer.Measure.print;
import static alluvium.peer.Measure.round;
import static alluvium.peer.Measure.stats;

import alluvium.peer.Backends.Backend;
import alluvium.peer.Measure.Op;

import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.runtime.state.AbstractKeyedStateBackend;
import java.util.Map;

/** Operations of value state, and read-modify-write. */
final class Values {

    static void valueLong() throws Exception {
        ValueStateDescriptor<Long> d = new ValueStateDescriptor<>("value", LongSerializer.INSTANCE);
        long[] keys = shuffled(0, n, 1);
        long[] values = shuffled(0, 1 << 20, 2);
        int vm = values.length - 1;

        // Bulk load: an empty backend takes n fresh keys in random order, once per round.
        if (opt.str("ops", "valueLoad").contains("valueLoad")) {
            double[] rate = new double[opt.num("loadrounds", 3)];
            double[] cpuRate = new double[rate.length];
            for (int i = -1; i < rate.length; i++) {
                try (Backend b = fresh()) {
                    AbstractKeyedStateBackend<Long> k = b.keyed;
                    ValueState<Long> s = b.state(d);
                    System.gc();
                    long cpu = THREADS.getCurrentThreadCpuTime();
                    long t0 = System.nanoTime();
                    for (int j = 0; j < n; j++) {
                        k.setCurrentKey(keys[j]);
                        s.update(values[j & vm]);
                    }
                    double r = n / ((System.nanoTime() - t0) / 1e9);
                    cpu = THREADS.getCurrentThreadCpuTime() - cpu;
                    if (i >= 0) {
                        rate[i] = r;
                        cpuRate[i] = n / (cpu / 1e9);
                    }
                }
            }
            Map<String, Object> out = header("throughput");
            out.put("op", "valueLoad");
            out.put("n", n);
            out.put("unit", "op/s");
            out.put("rounds", rate.length);
            out.put("operations", (long) n * rate.length);
            stats(out, "", rate, 0);
            stats(out, "per_cpu_s_", cpuRate, 0);
            print(out);
        }

        try (Backend b = fresh()) {
            AbstractKeyedStateBackend<Long> k = b.keyed;
            ValueState<Long> s = b.state(d);
            for (int j = 0; j < n; j++) {
                k.setCurrentKey((long) j);
                s.update(values[j & vm]);
            }
            filled = 0;
            for (int j = 0; j < n; j++) {
                k.setCurrentKey((long) j);
                filled += s.value() * (j + 1);
            }
            Op get =
                    (from, to) -> {
                        long sum = 0;
                        int p = (int) (from % n);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            sum += s.value();
                            if (++p == n) {
                                p = 0;
                            }
                        }
                        return sum;
                    };
            measure("valueGet", 1, Long.MAX_VALUE >> 1, get);
            if (!heap) {
                b.compact(d);
                measure("valueGetCompacted", 1, Long.MAX_VALUE >> 1, get);
            }
            measure(
                    "valueUpdate",
                    1,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        int p = (int) (from % n);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            s.update(values[(int) i & vm]);
                            if (++p == n) {
                                p = 0;
                            }
                        }
                        return p;
                    });
            long[] added = shuffled(n, newKeys, 3);
            measure(
                    "valueAdd",
                    1,
                    newKeys / (warmups + rounds),
                    (from, to) -> {
                        for (int i = (int) from; i < to; i++) {
                            k.setCurrentKey(added[i]);
                            s.update(values[i & vm]);
                        }
                        return to;
                    });
        }
    }

    static void valueBytes() throws Exception {
        ValueStateDescriptor<byte[]> d =
                new ValueStateDescriptor<>("value", BytePrimitiveArraySerializer.INSTANCE);
        long[] keys = shuffled(0, n, 1);
        byte[][] pool = pool(1024, 100, 4);
        try (Backend b = fresh()) {
            AbstractKeyedStateBackend<Long> k = b.keyed;
            ValueState<byte[]> s = b.state(d);
            for (int j = 0; j < n; j++) {
                k.setCurrentKey((long) j);
                s.update(pool[j & 1023].clone());
            }
            filled = 0;
            for (int j = 0; j < n; j++) {
                k.setCurrentKey((long) j);
                filled += (s.value()[0] * 256L + s.value()[99]) * (j + 1);
            }
            Op get =
                    (from, to) -> {
                        long sum = 0;
                        int p = (int) (from % n);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            sum += s.value()[0];
                            if (++p == n) {
                                p = 0;
                            }
                        }
                        return sum;
                    };
            measure("value100Get", 1, Long.MAX_VALUE >> 1, get);
            if (!heap) {
                b.compact(d);
                measure("value100GetCompacted", 1, Long.MAX_VALUE >> 1, get);
            }
            measure(
                    "value100Update",
                    1,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        int p = (int) (from % n);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            s.update(pool[(int) i & 1023].clone());
                            if (++p == n) {
                                p = 0;
                            }
                        }
                        return p;
                    });
            long[] added = shuffled(n, newKeys, 3);
            measure(
                    "value100Add",
                    1,
                    newKeys / (warmups + rounds),
                    (from, to) -> {
                        for (int i = (int) from; i < to; i++) {
                            k.setCurrentKey(added[i]);
                            s.update(pool[i & 1023].clone());
                        }
                        return to;
                    });
        }
    }

    static void rmw() throws Exception {
        ValueStateDescriptor<Long> d = new ValueStateDescriptor<>("count", LongSerializer.INSTANCE);
        int draws = 1 << 21;
        long[] uniform = uniform(n, draws, 5);
        long[] zipf = zipf(n, 0.99, draws, 6);
        try (Backend b = fresh()) {
            AbstractKeyedStateBackend<Long> k = b.keyed;
            ValueState<Long> s = b.state(d);
            for (int j = 0; j < n; j++) {
                k.setCurrentKey((long) j);
                s.update(1L);
            }
            filled = 0;
            for (int j = 0; j < n; j++) {
                k.setCurrentKey((long) j);
                filled += s.value() * (j + 1);
            }
            measure("rmwUniform", 1, Long.MAX_VALUE >> 1, countLoop(k, s, uniform));
            measure("rmwZipf099", 1, Long.MAX_VALUE >> 1, countLoop(k, s, zipf));
        }
    }

    static Op countLoop(AbstractKeyedStateBackend<Long> k, ValueState<Long> s, long[] draws) {
        int mask = draws.length - 1;
        return (from, to) -> {
            for (long i = from; i < to; i++) {
                k.setCurrentKey(draws[(int) i & mask]);
                Long seen = s.value();
                s.update(seen == null ? 1L : seen + 1L);
            }
            return to;
        };
    }

    private Values() {}
}
