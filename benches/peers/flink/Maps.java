package alluvium.peer;

import static alluvium.peer.Backends.fresh;
import static alluvium.peer.FlinkStateBench.n;
import static alluvium.peer.FlinkStateBench.newKeys;
import static alluvium.peer.FlinkStateBench.opt;
import static alluvium.peer.FlinkStateBench.rounds;
import static alluvium.peer.FlinkStateBench.warmups;
import static alluvium.peer.Inputs.shuffled;
import static alluvium.peer.Measure.filled;
import static alluvium.peer.Measure.measure;
import static alluvium.peer.Restores.half;

import alluvium.peer.Backends.Backend;

import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ReducingState;
import org.apache.flink.api.common.state.ReducingStateDescriptor;
import org.apache.flink.api.common.typeutils.base.DoubleSerializer;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.runtime.state.AbstractKeyedStateBackend;
import java.util.Iterator;
import java.util.Map;

/** Operations of reducing and map state. */
final class Maps {

    static void reducing() throws Exception {
        ReducingStateDescriptor<Long> d =
                new ReducingStateDescriptor<>(
                        "reducing", (a, c) -> a + c, LongSerializer.INSTANCE);
        long[] keys = shuffled(0, n, 1);
        long[] values = shuffled(0, 1 << 20, 2);
        int vm = values.length - 1;
        try (Backend b = fresh()) {
            AbstractKeyedStateBackend<Long> k = b.keyed;
            ReducingState<Long> s = b.state(d);
            for (int j = 0; j < n; j++) {
                k.setCurrentKey((long) j);
                s.add(values[j & vm]);
            }
            filled = 0;
            for (int j = 0; j < n; j++) {
                k.setCurrentKey((long) j);
                filled += s.get() * (j + 1);
            }
            measure(
                    "reducingAdd",
                    1,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        int p = (int) (from % n);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            s.add(values[(int) i & vm]);
                            if (++p == n) {
                                p = 0;
                            }
                        }
                        return p;
                    });
            measure(
                    "reducingGet",
                    1,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        long sum = 0;
                        int p = (int) (from % n);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            sum += s.get();
                            if (++p == n) {
                                p = 0;
                            }
                        }
                        return sum;
                    });
        }
    }

    static void map() throws Exception {
        int perKey = opt.num("mapentries", 10);
        int count = opt.num("mapkeys", 100_000);
        n = count;
        MapStateDescriptor<Long, Double> d =
                new MapStateDescriptor<>("map", LongSerializer.INSTANCE, DoubleSerializer.INSTANCE);
        long[] keys = shuffled(0, count, 1);
        try (Backend b = fresh()) {
            AbstractKeyedStateBackend<Long> k = b.keyed;
            MapState<Long, Double> s = b.state(d);
            for (int j = 0; j < count; j++) {
                k.setCurrentKey((long) j);
                for (long m = 0; m < perKey; m++) {
                    s.put(m, j + m * 0.5);
                }
            }
            filled = 0;
            for (int j = 0; j < count; j++) {
                k.setCurrentKey((long) j);
                for (Map.Entry<Long, Double> e : s.entries()) {
                    filled += (long) (e.getKey() + 2 * e.getValue()) * (j + 1);
                }
            }
            measure(
                    "mapGet",
                    1,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        double sum = 0;
                        int p = (int) (from % count);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            sum += s.get(i % perKey);
                            if (++p == count) {
                                p = 0;
                            }
                        }
                        return (long) sum;
                    });
            // As in flink-benchmarks half of the looked-up map keys exist (key << 1).
            measure(
                    "mapContains",
                    1,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        long hits = 0;
                        int p = (int) (from % count);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            hits += s.contains((i % perKey) << 1) ? 1 : 0;
                            if (++p == count) {
                                p = 0;
                            }
                        }
                        return hits;
                    });
            measure(
                    "mapIterate",
                    perKey,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        double sum = 0;
                        int p = (int) (from % count);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            Iterator<Map.Entry<Long, Double>> it = s.iterator();
                            while (it.hasNext()) {
                                Map.Entry<Long, Double> e = it.next();
                                sum += e.getKey() + e.getValue();
                            }
                            if (++p == count) {
                                p = 0;
                            }
                        }
                        return (long) sum;
                    });
            measure(
                    "mapUpdate",
                    1,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        int p = (int) (from % count);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            s.put(i % perKey, (double) i);
                            if (++p == count) {
                                p = 0;
                            }
                        }
                        return p;
                    });
            long[] added = shuffled(count, newKeys, 3);
            measure(
                    "mapAdd",
                    1,
                    newKeys / (warmups + rounds),
                    (from, to) -> {
                        for (int i = (int) from; i < to; i++) {
                            k.setCurrentKey(added[i]);
                            s.put((long) (i % perKey), (double) i);
                        }
                        return to;
                    });
        }
    }

    private Maps() {}
}
