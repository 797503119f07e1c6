package alluvium.peer;

import static alluvium.peer.Maps.map;

import java.util.Arrays;
import java.util.SplittableRandom;

/** Keys and values, determined by seeds: {@code benches/src/flink/inputs.rs} makes the same ones. */
final class Inputs {

    static long[] shuffled(long from, int count, long seed) {
        long[] keys = new long[count];
        for (int i = 0; i < count; i++) {
            keys[i] = from + i;
        }
        SplittableRandom r = new SplittableRandom(seed);
        for (int i = count - 1; i > 0; i--) {
            int j = r.nextInt(i + 1);
            long t = keys[i];
            keys[i] = keys[j];
            keys[j] = t;
        }
        return keys;
    }

    static long[] uniform(int bound, int count, long seed) {
        SplittableRandom r = new SplittableRandom(seed);
        long[] keys = new long[count];
        for (int i = 0; i < count; i++) {
            keys[i] = r.nextInt(bound);
        }
        return keys;
    }

    /** Draws from P(rank k) ~ 1/k^s by inverting the cumulative weights; ranks map to shuffled keys. */
    static long[] zipf(int bound, double s, int count, long seed) {
        double[] cumulative = new double[bound];
        double total = 0;
        for (int k = 0; k < bound; k++) {
            total += Math.pow(k + 1, -s);
            cumulative[k] = total;
        }
        long[] rankToKey = shuffled(0, bound, seed + 1);
        SplittableRandom r = new SplittableRandom(seed);
        long[] keys = new long[count];
        for (int i = 0; i < count; i++) {
            int at = Arrays.binarySearch(cumulative, r.nextDouble() * total);
            int rank = Math.min(at >= 0 ? at : -at - 1, bound - 1);
            keys[i] = rankToKey[rank];
        }
        return keys;
    }

    static byte[][] pool(int arrays, int length, long seed) {
        SplittableRandom r = new SplittableRandom(seed);
        byte[][] out = new byte[arrays][length];
        for (byte[] a : out) {
            for (int i = 0; i < length; i++) {
                a[i] = (byte) r.nextInt();
            }
        }
        return out;
    }

    private Inputs() {}
}
