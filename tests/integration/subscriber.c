/* Prints every micrograph that pickstream picks, and the best pick in it. */
#include <jansson.h>
#include <pickstream_wire.h>
#include <stdio.h>
#include <zmq.h>

int main(int argc, char **argv)
{
    void *live = zmq_socket(zmq_ctx_new(), ZMQ_SUB);
    zmq_setsockopt(live, ZMQ_SUBSCRIBE, PS_WIRE_TOPIC_PICKS, strlen(PS_WIRE_TOPIC_PICKS));
    if (zmq_connect(live, argc > 1 ? argv[1] : PS_WIRE_ENDPOINT) != 0)
        return 1;
    zmq_msg_t frames[4]; /* topic, header, array of picks; and what a later version may add */
    for (int i = 0; i < 4; i++)
        zmq_msg_init(&frames[i]);
    for (json_int_t last = 0;;) {
        int i = 0, picks, columns;
        while (zmq_msg_recv(&frames[i], live, 0) >= 0 && zmq_msg_more(&frames[i]))
            i += i < 3;
        if (i < PS_WIRE_FRAME_ARRAYS)
            continue;
        json_int_t seq;
        const char *name, *status;
        const void *array = zmq_msg_data(&frames[PS_WIRE_FRAME_ARRAYS]);
        json_t *header = json_loadb(zmq_msg_data(&frames[PS_WIRE_FRAME_HEADER]),
                                    zmq_msg_size(&frames[PS_WIRE_FRAME_HEADER]), 0, NULL);
        if (json_unpack(header, "{s:I, s:{s:s}, s:{s:s}, s:[{s:[i, i]}]}", "seq", &seq,
                        "micrograph", "name", &name, "result", "status", &status, "arrays", "shape",
                        &picks, &columns) == 0) {
            if (last && seq > last + 1)
                printf("missed: %lld outcomes\n", (long long)(seq - last - 1));
            last = seq;
            printf("%lld %s %s %d", (long long)seq, name, status, picks);
            if (picks > 0)
                printf(", the best at %.1f, %.1f", ps_wire_value(array, columns, 0, PS_WIRE_X),
                       ps_wire_value(array, columns, 0, PS_WIRE_Y));
            printf("\n");
            fflush(stdout);
        }
        json_decref(header);
    }
}
