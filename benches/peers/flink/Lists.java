package alluvium.peer;

import static alluvium.peer.Backends.fresh;
import static alluvium.peer.FlinkStateBench.n;
import static alluvium.peer.FlinkStateBench.newKeys;
import static alluvium.peer.FlinkStateBench.rounds;
import static alluvium.peer.FlinkStateBench.warmups;
import static alluvium.peer.Inputs.shuffled;
import static alluvium.peer.Measure.filled;
import static alluvium.peer.Measure.measure;
import static alluvium.peer.Measure.round;

import alluvium.peer.Backends.Backend;

import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.runtime.state.AbstractKeyedStateBackend;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Operations of list state. */
final class Lists {

    static void list() throws Exception {
        ListStateDescriptor<Long> d = new ListStateDescriptor<>("list", LongSerializer.INSTANCE);
        long[] keys = shuffled(0, n, 1);
        long[] values = shuffled(0, 1 << 20, 2);
        int vm = values.length - 1;
        try (Backend b = fresh()) {
            AbstractKeyedStateBackend<Long> k = b.keyed;
            ListState<Long> s = b.state(d);
            for (int j = 0; j < n; j++) {
                k.setCurrentKey((long) j);
                s.add(values[j & vm]);
            }
            filled = 0;
            for (int j = 0; j < n; j++) {
                k.setCurrentKey((long) j);
                for (Long v : s.get()) {
                    filled += v * (j + 1);
                }
            }
            b.compact(d); // as flink-benchmarks does before each iteration
            measure(
                    "listGet",
                    1,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        long sum = 0;
                        int p = (int) (from % n);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            sum += s.get() == null ? 0 : 1;
                            if (++p == n) {
                                p = 0;
                            }
                        }
                        return sum;
                    });
            measure(
                    "listGetAndIterate",
                    1,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        long sum = 0;
                        int p = (int) (from % n);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            for (Long v : s.get()) {
                                sum += v;
                            }
                            if (++p == n) {
                                p = 0;
                            }
                        }
                        return sum;
                    });
            measure(
                    "listUpdate",
                    1,
                    Long.MAX_VALUE >> 1,
                    (from, to) -> {
                        int p = (int) (from % n);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            s.update(Collections.singletonList(values[(int) i & vm]));
                            if (++p == n) {
                                p = 0;
                            }
                        }
                        return p;
                    });
            long[] added = shuffled(n, newKeys, 3);
            measure(
                    "listAdd",
                    1,
                    newKeys / (warmups + rounds),
                    (from, to) -> {
                        for (int i = (int) from; i < to; i++) {
                            k.setCurrentKey(added[i]);
                            s.update(Collections.singletonList(values[i & vm]));
                        }
                        return to;
                    });
            // At most two appends a key a round, so that lists stay short.
            measure(
                    "listAppend",
                    1,
                    2L * n,
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
            List<Long> hundred = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                hundred.add(values[i]);
            }
            measure(
                    "listAddAll100",
                    1,
                    20_000,
                    (from, to) -> {
                        int p = (int) (from % n);
                        for (long i = from; i < to; i++) {
                            k.setCurrentKey(keys[p]);
                            s.addAll(hundred);
                            if (++p == n) {
                                p = 0;
                            }
                        }
                        return p;
                    });
        }
    }

    private Lists() {}
}
