//go:build !bug_chosen && !bug_ackbeforecommit && !bug_ackbeforefsync && !bug_nofence && !bug_expirestale && !bug_rescue && !bug_noparents && !bug_earlytimer && !bug_earlystart && !bug_cancelgrants && !bug_joinonce && !bug_freeattempt && !bug_lostwake && !bug_chunklost && !bug_twocmdcron && !bug_uniquefree && !bug_fullbucket && !bug_maporder && !bug_indexsplit && !bug_doubleapply && !bug_snapskip && !bug_staleread && !bug_sharedverify && !bug_unknownpending && !bug_swallowerror && !bug_keyfirst && !bug_restless && !bug_throttleends

package planted

const bug = ""
